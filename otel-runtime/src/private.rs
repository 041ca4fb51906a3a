//! What generated code names, and nobody else: it changes without notice.

pub use otel_macros::rpc;
pub use tonic::{Response, Status};

pub use crate::field::attribute;
pub use crate::server::{Respond, Rpc, Untraced};

/// Gives a handler's body its type, in a `return` that never runs.
#[must_use]
pub fn returns<R>() -> R {
    unreachable!("only its type is needed")
}
