//! Support for tests against gRPC in other languages, Prometheus, a browser and valgrind.

// A test that panics has failed; that is what these are for.
#![allow(clippy::missing_panics_doc)]

pub mod backends;
pub mod browser;
pub mod daemon;
pub mod dashboards;
pub mod foreign;
pub mod interop;
mod page;
pub mod poll;
pub mod prometheus;
pub mod proxies;
pub mod tools;
