//! The body of a response, which a server's RPC lasts as long as.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::running::{self, Running};
use crate::call::Call;
use crate::sizes::{Counter, Direction};
use crate::{response, wire};

pin_project! {
    /// A response body that carries its RPC to the end: what [`ServerLayer`](crate::ServerLayer) makes of a service's response bodies.
    ///
    /// The default one is empty, and of no RPC: an interceptor outside of the layer responds with it to what it rejects.
    #[derive(Debug)]
    #[must_use = "bodies do nothing unless polled"]
    pub struct ServerBody<B> {
        // Empty by default, and while it is being dropped.
        #[pin]
        body: Option<B>,
        running: Option<Running>,
        status: StatusCode,
        counter: Option<Counter>,
    }

    impl<B> PinnedDrop for ServerBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            running::run(this.running, &mut || this.body.set(None));
        }
    }
}

impl<B> Default for ServerBody<B> {
    fn default() -> Self {
        ServerBody {
            body: None,
            running: None,
            status: StatusCode::OK,
            counter: None,
        }
    }
}

impl<B: Body> ServerBody<B> {
    pub(super) fn begin(response: Response<B>, mut running: Option<Running>) -> Response<Self> {
        let mut counter = None;
        if let Some(call) = call(&mut running) {
            response::headers(call, &response);
            counter = call.sizes().map(|sizes| sizes.counter(Direction::Sent));
        }
        let status = response.status();
        response.map(|body| ServerBody {
            body: Some(body),
            running,
            status,
            counter,
        })
    }
}

fn call(running: &mut Option<Running>) -> Option<&mut Call> {
    match running {
        Some(Running::Call(call)) => Some(call),
        _ => None,
    }
}

impl<B: Body<Error: 'static>> Body for ServerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        if call(this.running).is_some_and(|call| call.has_ended()) {
            // What it has been asked for is there: this is to see that there is no more.
            return this
                .body
                .as_pin_mut()
                .map_or(Poll::Ready(None), |body| body.poll_frame(cx));
        }
        let polled = running::run_alone(this.running, || {
            let body = this.body.as_mut().as_pin_mut();
            body.map_or(Poll::Ready(None), |body| body.poll_frame(cx))
        });
        if let (Poll::Ready(frame), Some(call)) = (&polled, call(this.running)) {
            match frame {
                Some(Ok(frame)) => {
                    if let Some(counter) = this.counter {
                        counter.pass(frame);
                    }
                    if let Some(trailers) = frame.trailers_ref() {
                        response::trailers(call, trailers, *this.status);
                    } else if this.body.as_ref().as_pin_ref().is_some_and(|body| body.is_end_stream()) {
                        // Nobody asks it for more.
                        response::no_more(call, *this.status);
                    }
                }
                Some(Err(error)) => call.end(wire::broken_off(error).outcome()),
                None => response::no_more(call, *this.status),
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
