//! The server's side of an RPC.

mod address;
mod arrival;
mod call;
mod capture;
mod handler;
mod method;
mod panic;
mod rpc;
mod slot;
mod stream;

pub use handler::Respond;
pub use rpc::Rpc;
pub use stream::{TracedStream, Untraced};
