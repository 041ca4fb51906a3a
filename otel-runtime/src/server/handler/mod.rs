//! The handlers of annotated services: what generated code calls.

mod boxed_stream;
mod call;
mod closure;
mod descriptor;
mod future;
mod incoming;
mod respond;
mod respond_unboxed;
mod stream;

pub use descriptor::MethodDescriptor;
pub use respond::RespondUnary;
pub use respond_unboxed::RespondUnboxed;
pub use stream::{TracedStream, Untraced};
