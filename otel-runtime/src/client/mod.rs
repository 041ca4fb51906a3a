//! The client's side: the layer around a channel.

mod body;
mod body_context;
#[cfg(feature = "channel")]
mod channel;
mod future;
mod layer;
mod readiness;
mod service;
mod start;
pub(crate) mod target;

pub use body::ClientBody;
#[cfg(feature = "channel")]
pub use channel::TracedChannel;
pub use future::ClientFuture;
pub use layer::ClientLayer;
pub use service::ClientService;
