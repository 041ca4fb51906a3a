//! The request body of a client's call.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use opentelemetry::Context;
use tonic::Status;
use tonic::body::Body as TonicBody;

use crate::rpc::current;

/// A request body that is polled in the context of its call.
///
/// tonic polls it in the task of the connection, which has no context. Spans and log records of the
/// stream that produces the messages would then belong to no trace.
struct RequestBody {
    /// `None` once it has ended.
    body: Option<TonicBody>,
    context: Context,
}

/// Lets a request body be polled in `context`, if it is tonic's own.
///
/// The type of a request's body must stay as it is. Of all types only `tonic::body::Body` can hold
/// another body.
pub(super) fn set_context(body: &mut dyn Any, context: &Context) {
    if let Some(body) = body.downcast_mut::<TonicBody>()
        && !body.is_end_stream()
    {
        *body = TonicBody::new(RequestBody {
            body: Some(std::mem::take(body)),
            context: context.clone(),
        });
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let RequestBody { body, context } = &mut *self;
        current::run_in_client_context(context, || {
            let polled = match body {
                Some(body) => Pin::new(body).poll_frame(cx),
                None => Poll::Ready(None),
            };
            if let Poll::Ready(None) = polled {
                // Inside of the context, which its drop then need not enter again.
                *body = None;
            }
            polled
        })
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

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.body.is_some() {
            current::run_in_client_context(&self.context, || self.body = None);
        }
    }
}
