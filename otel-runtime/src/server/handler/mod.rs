//! The handlers of annotated services: what generated code calls.

mod call;
mod descriptor;
mod future;
mod start;
mod stream;

pub use descriptor::MethodDescriptor;
pub use future::{RespondUnary, RespondUnboxed};
pub use stream::{TracedStream, Untraced};
