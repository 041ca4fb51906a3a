//! The handlers of annotated services: what generated code calls.

mod call;
mod descriptor;
mod future;
mod incoming;
mod start;
mod stream;
mod unboxed;

pub use descriptor::MethodDescriptor;
pub use future::RespondUnary;
pub use stream::{TracedStream, Untraced};
pub use unboxed::RespondUnboxed;
