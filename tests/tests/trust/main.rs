//! Untrusted callers: what they can influence, and what they cannot.

use std::alloc::System;

use cap::Cap;

mod alerts;
mod baggage;
mod caller;
mod exports_to_self;
mod headers;
mod layers_and_paths;
mod method_limit;
mod metric_attribute_limit;
mod names;
mod propagators;
mod public_endpoint;
mod random_requests;
mod traces;
mod zpages_memory;

/// The allocator, which counts the memory in use.
#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);
