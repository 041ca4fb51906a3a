//! Handlers may write their response type in any way that works without the attribute.

use std::pin::Pin;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds_default_stubs as default_stubs;
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::traced_service;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// Reads the response to `text`, and asserts that there is one span, with this status code.
async fn assert_streams(routes: Routes, text: &str, code: &str, replies: &[&str]) {
    let telemetry = Telemetry::start();
    let server = serve(routes).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut received = Vec::new();
    if let Ok(response) = client.call(Message::from(text)).await {
        let mut stream = response.into_inner();
        while let Ok(Some(message)) = stream.message().await {
            received.push(message.text);
        }
    }
    assert_eq!(received, replies);
    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.ServerStream/Call");
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
}

/// A custom error that `?` converts to a status.
struct TooLong;

impl From<TooLong> for Status {
    fn from(_: TooLong) -> Self {
        Self::out_of_range("too long")
    }
}

fn words(text: &str) -> Result<Vec<Result<Message, Status>>, TooLong> {
    if text.len() > 10 {
        Err(TooLong)
    } else {
        Ok(text.split(' ').map(|word| Ok(word.into())).collect())
    }
}

struct Coercions;

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Coercions {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let text = request.into_inner().text;
        if text.is_empty() {
            return Ok(Response::new(Box::pin(tokio_stream::empty())));
        }
        let Some(first) = text.chars().next() else {
            return Err(Status::internal("not empty"));
        };
        if first == '!' {
            return Err(Status::permission_denied("no shouting"));
        }
        let words = words(&text)?;
        Ok(Response::new(Box::pin(tokio_stream::iter(words).map(|word| word))))
    }
}

#[tokio::test]
async fn boxed_stream_without_a_cast_and_early_returns() {
    let routes = || Routes::new(ServerStreamServer::new(Coercions));
    assert_streams(routes(), "a b", "OK", &["a", "b"]).await;
    assert_streams(routes(), "", "OK", &[]).await;
    assert_streams(routes(), "!", "PERMISSION_DENIED", &[]).await;
    assert_streams(routes(), "far too long", "OUT_OF_RANGE", &[]).await;
}

macro_rules! identity {
    ($($tokens:tt)*) => { $($tokens)* };
}

struct Named;

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Named {
    type CallStream = tokio_stream::Iter<std::vec::IntoIter<Result<Message, Status>>>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let text = request.into_inner().text;
        let words: Self::CallStream = match text.as_str() {
            "macro" => identity!(tokio_stream::iter(words("in a macro")?) as Self::CallStream),
            "trait" => tokio_stream::iter(words("a trait")?) as <Self as ServerStream>::CallStream,
            _ => tokio_stream::iter(words(&text)?),
        };
        Ok::<Response<Self::CallStream>, Status>(Response::new(words))
    }
}

#[tokio::test]
async fn associated_type_in_the_body() {
    let routes = || Routes::new(ServerStreamServer::new(Named));
    assert_streams(routes(), "a b", "OK", &["a", "b"]).await;
    assert_streams(routes(), "macro", "OK", &["in", "a", "macro"]).await;
    assert_streams(routes(), "trait", "OK", &["a", "trait"]).await;
}

type ServiceResult<T> = Result<Response<T>, Status>;

struct Concrete;

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Concrete {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> ServiceResult<Messages> {
        let words = words(&request.get_ref().text)?;
        Ok(Response::new(Box::pin(tokio_stream::iter(words))))
    }
}

#[tokio::test]
async fn concrete_type_behind_an_alias() {
    assert_streams(Routes::new(ServerStreamServer::new(Concrete)), "a b", "OK", &["a", "b"]).await;
}

type Stubbed = Pin<Box<dyn Stream<Item = Result<default_stubs::Message, Status>> + Send>>;

/// A service without an associated stream type, as with `generate_default_stubs`.
struct Unnamed;

#[traced_service]
#[tonic::async_trait]
impl default_stubs::server_stream_server::ServerStream for Unnamed {
    async fn call(&self, request: Request<default_stubs::Message>) -> ServiceResult<Stubbed> {
        let first = tokio_stream::once(Ok(request.into_inner()));
        Ok(Response::new(Box::pin(
            first.chain(tokio_stream::once(Err(Status::internal("half-way")))),
        )))
    }
}

#[tokio::test]
async fn stream_without_an_associated_type() {
    let service = default_stubs::server_stream_server::ServerStreamServer::new(Unnamed);
    assert_streams(Routes::new(service), "a", "INTERNAL", &["a"]).await;
}

/// A service whose stream type stays as it is written.
struct Boxed;

#[traced_service(boxed_streams)]
#[tonic::async_trait]
impl ServerStream for Boxed {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let first = tokio_stream::once(Ok(request.into_inner()));
        Ok(Response::new(Box::pin(
            first.chain(tokio_stream::once(Err(Status::internal("half-way")))),
        )))
    }
}

#[tokio::test]
async fn stream_type_as_it_is_written() {
    let routes = Routes::new(ServerStreamServer::new(Boxed));
    assert_streams(routes, "a", "INTERNAL", &["a"]).await;
}

/// `into_inner` returns the handler's stream, and ends the RPC.
#[tokio::test]
async fn stream_without_its_wrapper() {
    for (text, code) in [("a", "CANCELLED"), ("", "OK")] {
        let telemetry = Telemetry::start();
        let response = Coercions.call(Request::new(Message::from(text))).await.unwrap();
        let mut stream: Messages = response.into_inner().into_inner();
        let span = telemetry.span().await;
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
        let first = stream.next().await.transpose().unwrap();
        assert_eq!(first.map_or(String::new(), |message| message.text), text);
    }
}

/// A service that implements no method, and uses the default stubs.
struct Nothing;

#[traced_service]
#[tonic::async_trait]
impl default_stubs::server_stream_server::ServerStream for Nothing {}

#[tokio::test]
async fn stub_service() {
    let telemetry = Telemetry::start();
    let service = default_stubs::server_stream_server::ServerStreamServer::new(Nothing);
    let server = serve(Routes::new(service)).await;
    let status = ServerStreamClient::new(server.channel().await)
        .call(Message::from(""))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    telemetry.spans(0).await;
}
