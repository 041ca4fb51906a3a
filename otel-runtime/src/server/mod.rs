//! The server's side of an RPC.

mod address;
mod call;
mod handler;
mod in_call;
mod method;
mod panic;
mod stream;

pub use handler::Respond;
pub use method::Rpc;
pub use stream::{TracedStream, Untraced};
