//! The span of a streaming RPC lasts until the end of its response stream, and has its status.

use std::pin::Pin;
use std::sync::Mutex;

use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::kinds::client_stream_client::ClientStreamClient;
use integration_tests::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use otel_runtime::traced_service;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

/// A service that replies with the messages that the test sends it.
struct Scripted(Mutex<Option<mpsc::Receiver<Result<Message, Status>>>>);

impl Scripted {
    fn new() -> (mpsc::Sender<Result<Message, Status>>, Self) {
        let (script, lines) = mpsc::channel(1);
        (script, Scripted(Mutex::new(Some(lines))))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Scripted {
    type CallStream = ReceiverStream<Result<Message, Status>>;

    async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let lines = self.0.lock().unwrap().take();
        let lines = lines.ok_or_else(|| Status::resource_exhausted("the script has been read"))?;
        Ok(Response::new(ReceiverStream::new(lines)))
    }
}

#[tokio::test]
async fn span_of_a_server_stream_ends_with_the_stream() {
    let telemetry = Telemetry::start();
    let (script, service) = Scripted::new();
    let server = serve(Routes::new(ServerStreamServer::new(service))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("")).await.unwrap().into_inner();

    for text in ["one", "two", "three"] {
        script.send(Ok(Message::from(text))).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap().text, text);
        // The handler has returned, but the span has not ended.
        assert_eq!(telemetry.started(), 1);
        assert_eq!(telemetry.metrics().duration_count(), 0);
        assert_eq!(telemetry.metrics().active_request_count(), 1);
    }
    drop(script);
    assert!(replies.message().await.unwrap().is_none());

    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.ServerStream/Call");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::Unset);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
    let metrics = telemetry.metrics();
    assert_eq!(metrics.duration_count(), 1);
    assert_eq!(metrics.active_request_count(), 0);
}

#[tokio::test]
async fn stream_that_fails_after_a_message_has_its_code() {
    let telemetry = Telemetry::start();
    let (script, service) = Scripted::new();
    let server = serve(Routes::new(ServerStreamServer::new(service))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("")).await.unwrap().into_inner();

    script.send(Ok(Message::from("one"))).await.unwrap();
    assert_eq!(replies.message().await.unwrap().unwrap().text, "one");
    script.send(Err(Status::data_loss("the tape has torn"))).await.unwrap();
    assert_eq!(replies.message().await.unwrap_err().code(), tonic::Code::DataLoss);

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::error("the tape has torn"));
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.status_code"], "DATA_LOSS");
    assert_eq!(found["error.type"], "DATA_LOSS");
    let [(point, 1, _)] = &telemetry.metrics().durations()[..] else {
        panic!("expected one point of one value")
    };
    assert_eq!(point["rpc.status_code"], "DATA_LOSS");
    assert_eq!(point["error.type"], "DATA_LOSS");
}

#[tokio::test]
async fn failure_before_the_stream_ends_the_span() {
    let telemetry = Telemetry::start();
    let service = Scripted(Mutex::new(None));
    let server = serve(Routes::new(ServerStreamServer::new(service))).await;
    let status = ServerStreamClient::new(server.channel().await)
        .call(Message::from(""))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::Unset);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "RESOURCE_EXHAUSTED");
}

struct Joined;

#[traced_service]
#[tonic::async_trait]
impl ClientStream for Joined {
    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
        let mut texts = Vec::new();
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            if message.text.is_empty() {
                return Err(Status::invalid_argument("a message is empty"));
            }
            texts.push(message.text);
        }
        Ok(Response::new(Message::from(texts.join(" ").as_str())))
    }
}

#[tokio::test]
async fn client_stream_is_one_span() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ClientStreamServer::new(Joined))).await;
    let messages = tokio_stream::iter(["one", "two", "three"].map(Message::from));
    let reply = ClientStreamClient::new(server.channel().await)
        .call(messages)
        .await
        .unwrap();
    assert_eq!(reply.into_inner().text, "one two three");

    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.ClientStream/Call");
    assert_eq!(span.status, SpanStatus::Unset);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
}

#[tokio::test]
async fn rejected_client_stream_has_the_code() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ClientStreamServer::new(Joined))).await;
    let messages = tokio_stream::iter(["one", ""].map(Message::from));
    ClientStreamClient::new(server.channel().await)
        .call(messages)
        .await
        .unwrap_err();

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::Unset);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "INVALID_ARGUMENT");
}

struct Shout;

#[traced_service]
#[tonic::async_trait]
impl Bidi for Shout {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        let replies = request.into_inner().map(|message| {
            let text = message?.text;
            if text.is_empty() {
                Err(Status::aborted("nothing to shout"))
            } else {
                Ok(text.to_uppercase().as_str().into())
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

#[tokio::test]
async fn bidi_stream_is_one_span() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(BidiServer::new(Shout))).await;
    let (say, said) = mpsc::channel(1);
    let mut client = BidiClient::new(server.channel().await);
    let mut replies = client.call(ReceiverStream::new(said)).await.unwrap().into_inner();
    for (text, loud) in [("a", "A"), ("b", "B")] {
        say.send(Message::from(text)).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap().text, loud);
        assert_eq!(telemetry.metrics().duration_count(), 0);
    }
    drop(say);
    assert!(replies.message().await.unwrap().is_none());

    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.Bidi/Call");
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
}

#[tokio::test]
async fn failed_bidi_stream_has_the_code() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(BidiServer::new(Shout))).await;
    let messages = tokio_stream::iter(["a", ""].map(Message::from));
    let mut replies = BidiClient::new(server.channel().await)
        .call(messages)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().text, "A");
    assert_eq!(replies.message().await.unwrap_err().code(), tonic::Code::Aborted);

    assert_eq!(
        attributes(&telemetry.span().await.attributes)["rpc.status_code"],
        "ABORTED"
    );
}
