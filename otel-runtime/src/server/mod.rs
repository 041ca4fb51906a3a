//! The server's side: the layer, and the handlers of annotated services.

mod arrival;
mod body;
mod future;
mod handler;
mod inner_layer;
mod inner_paths;
mod layer;
mod request;
mod service;
mod start;

pub use body::ServerBody;
pub use future::ServerFuture;
pub use handler::{MethodDescriptor, RespondUnary, RespondUnboxed, TracedStream, Untraced};
pub use layer::ServerLayer;
pub use service::ServerService;
