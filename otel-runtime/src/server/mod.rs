//! The server's side: the layer, and the handlers of annotated services.

mod arrival;
mod body;
mod future;
mod handler;
mod inner;
mod layer;
mod nested;
mod request;
mod start;

pub use body::ServerBody;
pub use future::ServerFuture;
pub use handler::{MethodDescriptor, RespondUnary, RespondUnboxed, TracedStream, Untraced};
pub use layer::{ServerLayer, ServerService};
