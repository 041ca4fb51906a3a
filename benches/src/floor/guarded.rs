//! The floor with promises: code inside finds the RPC, a panic ends the RPC, and headers are read.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::Started;
use crate::proto::Message;
use crate::proto::bench_server::Bench;
use crate::sdk::Mode;
use crate::service::{Repeated, error, repeated};

pub(crate) struct Guarded(pub(crate) Mode);

thread_local! {
    static RUNNING: Cell<Option<Box<Started>>> = const { Cell::new(None) };
}

/// Runs a function while the RPC in `place` can be found.
fn inside<T>(place: &mut Option<Box<Started>>, run: impl FnOnce() -> T) -> T {
    let context = place.as_ref().and_then(|started| started.context.as_ref());
    let _current = context.map(|(context, ..)| context.clone().attach());
    let before = RUNNING.replace(place.take());
    let result = catch_unwind(AssertUnwindSafe(run));
    *place = RUNNING.replace(before);
    result.unwrap_or_else(|panic| {
        *place = None;
        resume_unwind(panic)
    })
}

impl Guarded {
    fn start(&self, request: &Request<Message>) -> Started {
        let is_wanted =
            |name: &http::HeaderName| matches!(name.as_str(), "traceparent" | "tracestate" | "grpc-timeout");
        let names = request.metadata().as_ref().keys();
        std::hint::black_box(names.filter(|name| is_wanted(name)).count());
        Started::new(self.0)
    }
}

/// A future whose RPC can be found while it is polled.
pub(crate) struct Traced {
    stream: Repeated,
    started: Option<Box<Started>>,
}

impl Stream for Traced {
    type Item = Result<Message, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Traced { stream, started } = &mut *self;
        inside(started, || Pin::new(stream).poll_next(cx))
    }
}

#[tonic::async_trait]
impl Bench for Guarded {
    type StreamStream = Traced;

    async fn unary(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        inside(&mut Some(Box::new(self.start(&request))), || {
            Ok(Response::new(request.into_inner()))
        })
    }

    async fn stream(&self, request: Request<Message>) -> Result<Response<Traced>, Status> {
        let mut started = Some(Box::new(self.start(&request)));
        let stream = inside(&mut started, || repeated(request.into_inner()));
        Ok(Response::new(Traced { stream, started }))
    }

    async fn error(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        inside(&mut Some(Box::new(self.start(&request))), || Err(error()))
    }
}
