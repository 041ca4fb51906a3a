//! The readiness of the service that a client calls: the time that a call waits for it, and its
//! error.

use std::task::{Context, Poll, Waker};

use tonic::{GrpcMethod, Status};

use crate::clock::Instant;
use crate::grpc::response_status::{OwnedOutcome, from_transport_error};

/// State of a service between its first `poll_ready` and the call that it gets ready for.
///
/// A call begins when the program makes it, and fails if the service does not get ready. Only
/// `Service::call` knows which call that is, so the error is kept until then.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    waiting: Option<(Instant, Waker)>,
    error: Option<Status>,
}

/// A service that did not get ready: what its caller gets, and what is recorded.
pub(super) struct NotReady {
    pub(super) status: Status,
    pub(super) outcome: OwnedOutcome,
}

// Each clone gets ready for a call of its own.
impl Clone for Readiness {
    fn clone(&self) -> Self {
        Readiness::default()
    }
}

impl Readiness {
    /// Records whether the service is ready. Returns `Pending` until it is, or will never be.
    #[inline]
    pub(super) fn on_poll<E>(
        &mut self,
        polled: Poll<Result<(), E>>,
        cx: &Context<'_>,
        convert_error: impl FnOnce(E) -> Status,
    ) -> Poll<()> {
        match polled {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                self.error = Some(convert_error(error));
                Poll::Ready(())
            }
            Poll::Pending => {
                self.wait(cx);
                Poll::Pending
            }
        }
    }

    #[cold]
    fn wait(&mut self, cx: &Context<'_>) {
        // Another task waits for another call: the one before has been given up.
        if !self
            .waiting
            .as_ref()
            .is_some_and(|(_, waker)| waker.will_wake(cx.waker()))
        {
            self.waiting = Some((Instant::now(), cx.waker().clone()));
        }
    }

    /// Returns the time since when the next call waits, if it had to.
    #[inline]
    pub(super) fn take_start(&mut self) -> Option<Instant> {
        self.waiting.take().map(|(since, _)| since)
    }

    /// Returns the error that the next call fails with, if the service is not ready.
    #[inline]
    pub(super) fn take_error<B>(&mut self, request: &http::Request<B>) -> Option<NotReady> {
        self.error
            .take()
            .map(|error| error_of_call(error, request.extensions()))
    }
}

/// Returns the status that a call fails with, as its caller gets it without the layer.
#[cold]
fn error_of_call(error: Status, extensions: &http::Extensions) -> NotReady {
    let outcome = from_transport_error(&error);
    if extensions.get::<GrpcMethod<'static>>().is_none() {
        return NotReady { status: error, outcome };
    }
    // Generated clients make this of an error of `poll_ready`.
    let status = Status::unknown(format!("Service was not ready: {error}"));
    NotReady {
        outcome: outcome.with_status(&status),
        status,
    }
}
