//! The server's side of an RPC.

mod address;
mod arrival;
mod begin;
mod body;
mod handler;
mod layer;
mod rpc;
pub(crate) mod running;
mod slot;
mod stream;

pub use body::ServerBody;
pub use handler::Respond;
pub use layer::{ServerFuture, ServerLayer, ServerService};
pub use rpc::Rpc;
pub use stream::{TracedStream, Untraced};
