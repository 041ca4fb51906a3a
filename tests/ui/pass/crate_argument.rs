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
    use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
    use tonic::{Request, Response, Status};

    #[otel_runtime::traced_service(crate = crate::crate_argument::framework::telemetry, service = "helloworld.Greeter")]
    #[tonic::async_trait]
    impl Greeter for super::MyChat {
        async fn say_hello(&self, _: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
            Ok(Response::new(HelloReply::default()))
        }
    }
}
