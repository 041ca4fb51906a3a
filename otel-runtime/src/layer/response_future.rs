//! The future of a response that carries its call to the response body, for both layers.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::response_body::ResponseBody;
use crate::grpc::progress::ResponseRole;
use crate::grpc::response_status::OwnedOutcome;
use crate::rpc::active_call::{ActiveCall, LateStart, start_at_end};
use crate::rpc::current;
use crate::rpc::response;
use crate::rpc::run;

pin_project! {
    /// The future of a response with its call, which ends if the future fails or is dropped.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub(crate) struct ResponseFuture<F, R: ResponseRole> {
        // `None` once it has returned.
        #[pin]
        future: Option<F>,
        call: Option<ActiveCall>,
        role: PhantomData<fn() -> R>,
    }

    impl<F, R: ResponseRole> PinnedDrop for ResponseFuture<F, R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                run::inside::<R>(this.call, || this.future.set(None));
            }
            if matches!(this.call, Some(ActiveCall::Deferred(_))) {
                start_at_end(this.call, LateStart::default());
            }
        }
    }
}

impl<F, R: ResponseRole> ResponseFuture<F, R> {
    /// Starts the future that `start` makes of a request, inside the call.
    ///
    /// Neither passes through `current::run`, which would copy both three times. Its `tracing` span
    /// has been [entered](current::enter).
    #[inline]
    pub(crate) fn start<T>(call: Option<ActiveCall>, request: T, start: impl FnOnce(T) -> F) -> Self {
        let mut started = ResponseFuture {
            future: None,
            call,
            role: PhantomData,
        };
        let (mut request, mut start) = (Some(request), Some(start));
        run::to_start::<R>(&mut started.call, || {
            if let (Some(start), Some(request)) = (start.take(), request.take()) {
                started.future = Some(start(request));
            }
        });
        started
    }

    /// Returns a future that has returned.
    pub(crate) fn done() -> Self {
        ResponseFuture {
            future: None,
            call: None,
            role: PhantomData,
        }
    }

    /// Polls the future inside the call, and hands the call over to the body of the response.
    ///
    /// `wrap` makes the body type of the layer. `convert_error` makes the error that the caller of
    /// the layer gets, and `outcome` returns the outcome of the call for that error. Both differ
    /// between server and client.
    #[inline]
    pub(crate) fn poll_response<B, E, T, W>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        wrap: impl FnOnce(ResponseBody<B, R>) -> W,
        convert_error: impl FnOnce(E) -> T,
        outcome: impl FnOnce(&T) -> OwnedOutcome,
    ) -> Poll<Result<Response<W>, T>>
    where
        F: Future<Output = Result<Response<B>, E>>,
        B: Body,
    {
        let mut this = self.project();
        let mut polled = Poll::Pending;
        // Kept for the end of the call, which may be in its headers.
        let mut attached = run::inside_attached::<R>(this.call, || {
            // A future that is polled again after it has returned stays pending.
            if let Some(future) = this.future.as_mut().as_pin_mut() {
                // Forgets the `Pending`, which an assignment would drop.
                std::mem::forget(std::mem::replace(&mut polled, future.poll(cx)));
            }
            if polled.is_ready() {
                this.future.set(None);
            }
        });
        let result = ready!(polled);
        let mut call = this.call.take();
        Poll::Ready(match result {
            Ok(response) => Ok(ResponseBody::wrap(response, call, &mut attached, wrap)),
            Err(error) => {
                let error = convert_error(error);
                let mut late = None;
                if matches!(call, Some(ActiveCall::Deferred(_))) {
                    start_at_end(&mut call, LateStart::default());
                    late = call.as_ref().and_then(current::attach_call);
                }
                if let Some(call) = call.as_mut().and_then(ActiveCall::recorded) {
                    response::finish(call, outcome(&error).as_outcome());
                }
                drop(late);
                Err(error)
            }
        })
    }
}
