//! Untrusted callers: what they can influence, and what they cannot.

use std::alloc::System;

use cap::Cap;

mod exports_to_self;
mod method_limit;
mod public_endpoint;
mod random_requests;
mod trust_boundary;

/// The allocator, which counts the memory in use.
#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);
