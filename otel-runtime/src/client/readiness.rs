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
    // In a box, because most calls neither wait nor fail, and pay for a pointer only.
    waited: Option<Box<Waited>>,
}

/// A call that has waited for the service to get ready, or that fails because it did not.
#[derive(Debug, Default)]
pub(super) struct Waited {
    since: Option<(Instant, Waker)>,
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
                self.waited.get_or_insert_default().error = Some(convert_error(error));
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
        let since = &mut self.waited.get_or_insert_default().since;
        // Another task waits for another call: the one before has been given up.
        if !since.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            *since = Some((Instant::now(), cx.waker().clone()));
        }
    }

    /// Returns how the next call has waited, if it had to.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Box<Waited>> {
        self.waited.take()
    }
}

impl Waited {
    /// Returns the time since when the call has waited.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since.as_ref().map(|(since, _)| *since)
    }

    /// Returns the error that the call fails with, if the service is not ready.
    #[cold]
    pub(super) fn error<B>(self, request: &http::Request<B>) -> Option<NotReady> {
        let error = self.error?;
        Some(error_of_call(error, request.extensions()))
    }
}

/// Returns the status that a call fails with, as its caller gets it without the layer.
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
