//! The services of streams that stay open.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use tonic::body::Body;
use tonic::{Status, Streaming};
use tower::Service;

use crate::proto::Message;
use crate::proto::chats_server::Chats;

macro_rules! service {
    ($(#[$attribute:meta])* $name:ident) => {
        pub(super) struct $name;

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Chats for $name {
            type WatchStream = tokio_stream::Pending<Result<Message, Status>>;
            type ChatStream = Streaming<Message>;

            async fn watch(
                &self,
                _: tonic::Request<Message>,
            ) -> Result<tonic::Response<Self::WatchStream>, Status> {
                Ok(tonic::Response::new(tokio_stream::pending()))
            }

            async fn chat(
                &self,
                request: tonic::Request<Streaming<Message>>,
            ) -> Result<tonic::Response<Self::ChatStream>, Status> {
                Ok(tonic::Response::new(request.into_inner()))
            }
        }
    };
}

service! { Bare }
service! { #[otel_runtime::traced_service] Traced }

/// A server that answers with a body that holds that of the request, and never yields.
#[derive(Clone)]
pub(super) struct Echo;

impl Service<Request<Body>> for Echo {
    type Response = Response<Echoed>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Echoed>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut response = Response::new(Echoed(request.into_body()));
        let content_type = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", content_type);
        std::future::ready(Ok(response))
    }
}

pub(super) struct Echoed(Body);

impl http_body::Body for Echoed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        // As a connection does, this drops a request that has been sent.
        while let Poll::Ready(frame) = Pin::new(&mut self.0).poll_frame(cx) {
            if frame.is_none() {
                self.0 = Body::empty();
                break;
            }
        }
        Poll::Pending
    }
}
