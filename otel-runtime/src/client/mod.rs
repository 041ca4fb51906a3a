//! The client's side of an RPC.

mod body;
#[cfg(feature = "channel")]
mod channel;
mod layer;
mod target;

pub use body::ClientBody;
#[cfg(feature = "channel")]
pub use channel::TracedChannel;
pub use layer::{ClientFuture, ClientLayer, ClientService};
#[cfg(any(test, fuzzing))]
pub(crate) use target::Target;
