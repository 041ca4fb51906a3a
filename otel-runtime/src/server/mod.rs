//! The server's side of an RPC.

pub(crate) mod address;
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
#[cfg(any(test, fuzzing))]
pub(crate) use rpc::{is_spelling_of, service_and_method};
pub use stream::{TracedStream, Untraced};
