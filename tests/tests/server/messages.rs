//! An RPC is one span and one duration, for any number of messages in each direction.

use std::pin::Pin;

use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::rpc::{call_with_stream, read_to_end};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::{ServerLayer, traced_service};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

const RPC: &str = "kinds.Bidi/Call";

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// Replies to each message with as many messages as its text says.
fn answer(mut messages: Streaming<Message>) -> Response<Messages> {
    let (say, said) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok(Some(message)) = messages.message().await {
            for _ in 0..message.text.parse().unwrap() {
                say.send(Ok(Message::from("reply"))).await.unwrap();
            }
        }
    });
    Response::new(Box::pin(ReceiverStream::new(said)))
}

struct Plain;

#[tonic::async_trait]
impl Bidi for Plain {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        Ok(answer(request.into_inner()))
    }
}

struct Annotated;

#[traced_service]
#[tonic::async_trait]
impl Bidi for Annotated {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        Ok(answer(request.into_inner()))
    }
}

async fn each_set_up() -> [RunningServer; 3] {
    let layered = || Server::builder().layer(ServerLayer::new());
    [
        serve(Routes::new(BidiServer::new(Annotated))).await,
        serve_with(layered(), Routes::new(BidiServer::new(Plain))).await,
        serve_with(layered(), Routes::new(BidiServer::new(Annotated))).await,
    ]
}

async fn assert_one(telemetry: &Telemetry) {
    let span = telemetry.span().await;
    assert_eq!(span.name, RPC);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
    assert_eq!(span.events.len(), 0);
    assert_eq!(telemetry.durations(1).await[0]["rpc.method"], RPC);
}

#[tokio::test]
async fn one_to_three_requests_with_up_to_three_responses_each() {
    for server in each_set_up().await {
        for questions in 1..=3 {
            for answers in 0..=3 {
                let telemetry = Telemetry::start();
                let texts = vec![Message::from(answers.to_string().as_str()); questions];
                let request = Request::new(tokio_stream::iter(texts));
                let replies = call_with_stream(server.channel().await, RPC, request).await;
                let (messages, status) = read_to_end(replies).await;
                assert_eq!((messages, status.code()), (questions * answers, Code::Ok));
                assert_one(&telemetry).await;
            }
        }
    }
}

#[tokio::test]
async fn alternating_requests_and_responses() {
    for server in each_set_up().await {
        let telemetry = Telemetry::start();
        let (ask, asked) = mpsc::channel(1);
        let request = Request::new(ReceiverStream::new(asked));
        let replies = call_with_stream(server.channel().await, RPC, request).await;
        let mut replies = replies.unwrap().into_inner();
        for _ in 0..3 {
            ask.send(Message::from("1")).await.unwrap();
            assert_eq!(replies.next().await.unwrap().unwrap().text, "reply");
            // The RPC is still in progress.
            assert_eq!(telemetry.metrics().active_request_count(), 1);
            assert_eq!(telemetry.ended_spans().len(), 0);
        }
        drop(ask);
        assert!(replies.next().await.is_none());
        assert_one(&telemetry).await;
    }
}

#[tokio::test]
async fn no_messages() {
    for server in each_set_up().await {
        let telemetry = Telemetry::start();
        let request = Request::new(tokio_stream::empty());
        let replies = call_with_stream(server.channel().await, RPC, request).await;
        let (messages, status) = read_to_end(replies).await;
        assert_eq!((messages, status.code()), (0, Code::Ok));
        assert_one(&telemetry).await;
    }
}
