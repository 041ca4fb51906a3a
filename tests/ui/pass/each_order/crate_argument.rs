#![deny(warnings)]

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
}

struct MyChat;

mod framework {
    pub(crate) mod telemetry {
        pub(crate) use otel_runtime::*;
    }
}

#[framework::telemetry::traced_service(crate = framework::telemetry)]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

mod elsewhere {
    use tonic::{Request, Response, Status};

    #[tonic::async_trait]
    trait Echo {
        async fn echo(&self, request: Request<String>) -> Result<Response<String>, Status>;
    }

    #[otel_runtime::traced_service(crate = crate::crate_argument::framework::telemetry, service = "chat.Echo")]
    #[tonic::async_trait]
    impl Echo for super::MyChat {
        async fn echo(&self, request: Request<String>) -> Result<Response<String>, Status> {
            Ok(Response::new(request.into_inner()))
        }
    }
}
