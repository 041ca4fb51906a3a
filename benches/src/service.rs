//! The service, with the attribute and without it.

use tokio_stream::Iter;
use tonic::{Request, Response, Status};

use crate::proto::Message;
use crate::proto::bench_server::Bench;
use crate::rpc::MESSAGES;

/// A stream that repeats a message.
pub(crate) type Repeated = Iter<std::iter::RepeatN<Result<Message, Status>>>;

pub(crate) fn repeated(message: Message) -> Repeated {
    tokio_stream::iter(std::iter::repeat_n(Ok(message), MESSAGES))
}

pub(crate) fn error() -> Status {
    Status::not_found("no such thing")
}

macro_rules! service {
    ($(#[$attribute:meta])* $name:ident) => {
        pub(crate) struct $name;

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Bench for $name {
            type StreamStream = Repeated;

            async fn unary(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                Ok(Response::new(request.into_inner()))
            }

            async fn stream(&self, request: Request<Message>) -> Result<Response<Self::StreamStream>, Status> {
                Ok(Response::new(repeated(request.into_inner())))
            }

            async fn error(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
                Err(error())
            }
        }
    };
}

service! { Bare }
service! { #[otel_runtime::traced_service] Traced }
