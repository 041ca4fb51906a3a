#![deny(warnings)]
#![allow(dead_code)]

// Shadows every name that generated code might use without an absolute path.
mod otel_runtime {}
mod tonic {}
mod std {}
mod core {}

use ::examples::helloworld::{HelloReply, HelloRequest};

struct Result;
struct Option;
struct Ok;
struct Err;
struct Some;
struct None;
struct Pin;
struct Future;
struct String;
struct Vec;
struct Request;
struct Response;
struct Status;
struct Stream;
struct TracedStream;
struct Rpc;
struct Respond;

#[allow(non_upper_case_globals)]
const returns: () = ();

macro_rules! compile_error {
    ($($tokens:tt)*) => {};
}
macro_rules! panic {
    ($($tokens:tt)*) => {};
}
compile_error!();
panic!();

struct MyGreeter;

#[::tonic::async_trait]
trait Greeter {
    async fn say_hello(
        &self,
        request: ::tonic::Request<HelloRequest>,
    ) -> ::core::result::Result<::tonic::Response<HelloReply>, ::tonic::Status>;
}

#[::otel_runtime::traced_service]
#[::tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(
        &self,
        request: ::tonic::Request<HelloRequest>,
    ) -> ::core::result::Result<::tonic::Response<HelloReply>, ::tonic::Status> {
        let message = request.into_inner().name;
        ::core::result::Result::Ok(::tonic::Response::new(HelloReply { message }))
    }
}

#[::tonic::async_trait]
trait Chat {
    type TalkStream: ::tokio_stream::Stream<Item = Line> + ::core::marker::Send + 'static;

    async fn talk(
        &self,
        request: ::tonic::Request<HelloRequest>,
    ) -> ::core::result::Result<::tonic::Response<Self::TalkStream>, ::tonic::Status>;
}

type Line = ::core::result::Result<HelloReply, ::tonic::Status>;
type Talk = ::core::result::Result<::tonic::Response<::tokio_stream::Empty<Line>>, ::tonic::Status>;

#[::otel_runtime::traced_service]
#[::tonic::async_trait]
impl Chat for MyGreeter {
    type TalkStream = ::tokio_stream::Empty<Line>;

    async fn talk(&self, _: ::tonic::Request<HelloRequest>) -> Talk {
        ::core::result::Result::Ok(::tonic::Response::new(::tokio_stream::empty()))
    }
}
