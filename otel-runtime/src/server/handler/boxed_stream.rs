//! Response streams whose type stays as it is written: boxed streams.

use std::pin::Pin;

use futures_core::Stream;
use tonic::Status;

use super::stream::TracedStream;

/// A response stream without a name, as the traits that `generate_default_stubs` makes return them.
pub(super) type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// A response stream type that stays as it is written: a boxed stream.
#[diagnostic::on_unimplemented(
    message = "`boxed_streams` expects boxed response streams, found `{Self}`",
    label = "expected `Pin<Box<dyn Stream<Item = Result<T, tonic::Status>> + Send>>`"
)]
pub trait BoxedStream: Stream + Sized + Send {
    /// Boxes the traced stream.
    fn boxed(traced: TracedStream<Self>) -> Self;
}

impl<T: 'static> BoxedStream for BoxStream<T> {
    fn boxed(traced: TracedStream<Self>) -> Self {
        Box::pin(traced)
    }
}
