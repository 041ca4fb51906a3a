#![deny(warnings)]
#![no_implicit_prelude]

// Only `#[async_trait]` needs it.
#[allow(unused_imports)]
use ::std::boxed::Box;

use ::examples::helloworld::{HelloReply, HelloRequest};
use ::tonic::{Request, Response, Status};

#[::tonic::async_trait]
trait Chat {
    type TalkStream: ::tokio_stream::Stream<Item = ::std::result::Result<HelloReply, Status>>
        + ::std::marker::Send
        + 'static;

    async fn talk(&self, request: Request<HelloRequest>) -> ::std::result::Result<Response<Self::TalkStream>, Status>;

    async fn greet(&self, request: Request<HelloRequest>) -> ::std::result::Result<Response<HelloReply>, Status>;
}

struct MyChat;

#[::otel_runtime::traced_service(request_headers("x-tenant"))]
#[::tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = ::tokio_stream::Empty<::std::result::Result<HelloReply, Status>>;

    async fn talk(&self, _: Request<HelloRequest>) -> ::std::result::Result<Response<Self::TalkStream>, Status> {
        ::std::result::Result::Ok(Response::new(::tokio_stream::empty()))
    }

    #[traced(fields(name = request.get_ref().name.as_str()))]
    async fn greet(&self, request: Request<HelloRequest>) -> ::std::result::Result<Response<HelloReply>, Status> {
        let message = request.into_inner().name;
        ::std::result::Result::Ok(Response::new(HelloReply { message }))
    }
}
