//! The service's own future or stream, and the RPC it is part of.

use std::pin::Pin;

use http::HeaderMap;
use pin_project_lite::pin_project;
use tonic::Status;

use super::call::Call;
use crate::status::Outcome;

pin_project! {
    /// Everything that `inner` does, its dropping included, happens inside `call`.
    #[derive(Debug)]
    pub(super) struct InCall<T> {
        // Empty only once it is of no use any more.
        #[pin]
        inner: Option<T>,
        // Empty once the RPC has moved on.
        call: Option<Call>,
    }

    impl<T> PinnedDrop for InCall<T> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let (Some(call), true) = (this.call, this.inner.is_some()) {
                call.enter(|| this.inner.set(None));
            }
        }
    }
}

impl<T> InCall<T> {
    pub(super) fn new(call: Option<Call>, inner: T) -> Self {
        InCall {
            inner: Some(inner),
            call,
        }
    }

    /// Runs the service's code.
    pub(super) fn enter<R>(self: Pin<&mut Self>, run: impl FnOnce(Pin<&mut T>) -> R) -> R {
        let this = self.project();
        let inner = this.inner.as_pin_mut().expect("it is in use");
        match this.call {
            Some(call) => call.enter(|| run(inner)),
            None => run(inner),
        }
    }

    /// Ends the RPC, if it has not ended yet.
    pub(super) fn end(self: Pin<&mut Self>, outcome: Outcome<'_>) {
        if let Some(call) = self.project().call {
            call.end(outcome);
        }
    }

    /// Ends the RPC with a status that the service returned, if it has not ended yet.
    pub(super) fn fail(self: Pin<&mut Self>, status: &Status) {
        if let Some(call) = self.project().call {
            call.fail(status);
        }
    }

    /// Takes up the headers of the response.
    pub(super) fn respond(self: Pin<&mut Self>, headers: &HeaderMap) {
        if let Some(call) = self.project().call {
            call.respond(headers);
        }
    }

    /// Lets go of what has nothing left to run.
    pub(super) fn finish(self: Pin<&mut Self>) {
        self.project().inner.set(None);
    }

    /// Whether the RPC has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.call.as_ref().is_none_or(Call::has_ended)
    }

    /// Lets the RPC go on elsewhere.
    pub(super) fn leave(self: Pin<&mut Self>) -> Option<Call> {
        self.project().call.take()
    }

    pub(super) fn get_ref(&self) -> &T {
        self.inner.as_ref().expect("it is in use")
    }
}
