#![doc = include_str!("../README.md")]

mod deadline;
mod instruments;
mod propagation;
mod semconv;
mod server;
mod status;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use otel_macros::traced_service;
pub use server::TracedStream;
