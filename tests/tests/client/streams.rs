//! A client's streaming RPC is one span and one duration, for any number of messages.

use std::pin::Pin;

use integration_tests::client::{Kind, client_attributes, connect, read};
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::SpanKind;
use otel_runtime::traced_service;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// A service that reads all messages, and replies with as many as the first one says.
struct Counts;

#[traced_service]
#[tonic::async_trait]
impl Bidi for Counts {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.unwrap_or_default();
        let came = 1 + read(&mut messages).await?;
        let replies = first.text.parse().unwrap_or_default();
        let reply = Message::from(came.to_string().as_str());
        Ok(Response::new(Box::pin(tokio_stream::iter(vec![Ok(reply); replies]))))
    }
}

#[tokio::test]
async fn one_span_for_one_to_three_messages_each_way() {
    for sent in 1..=3 {
        for replied in 1..=3 {
            let telemetry = Telemetry::start();
            let server = serve(Routes::new(BidiServer::new(Counts))).await;
            let messages = vec![Message::from(replied.to_string().as_str()); sent];
            let call = BidiClient::new(connect(&server).await)
                .call(tokio_stream::iter(messages))
                .await;
            let mut replies = call.unwrap().into_inner();
            assert_eq!(replies.message().await.unwrap().unwrap().text, sent.to_string());
            assert_eq!(read(&mut replies).await.unwrap(), replied - 1);

            let spans = telemetry.spans(2).await;
            let [client] = &spans
                .iter()
                .filter(|span| span.span_kind == SpanKind::Client)
                .collect::<Vec<_>>()[..]
            else {
                panic!("{spans:?}")
            };
            let expected = client_attributes(Kind::Bidi.method(), server.address, "OK", None);
            assert_eq!(attributes(&client.attributes), expected);
            assert_eq!(client.events.len(), 0, "messages are no events");
            let metrics = telemetry.metrics();
            assert_eq!((metrics.client_duration_count(), metrics.duration_count()), (1, 1));
            assert_eq!(
                (metrics.client_active_request_count(), metrics.active_request_count()),
                (0, 0)
            );
        }
    }
}

/// A service that replies to each message as it arrives.
struct Echo;

#[tonic::async_trait]
impl Bidi for Echo {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}

#[tokio::test]
async fn span_lasts_until_the_end_of_the_responses() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(BidiServer::new(Echo))).await;
    let (say, said) = mpsc::channel(1);
    let call = BidiClient::new(connect(&server).await)
        .call(ReceiverStream::new(said))
        .await;
    let mut replies = call.unwrap().into_inner();
    for text in ["a", "b"] {
        say.send(Message::from(text)).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap().text, text);
        assert_eq!(telemetry.ended_spans().len(), 0);
        assert_eq!(telemetry.metrics().client_active_request_count(), 1);
    }
    drop(say);
    assert!(replies.message().await.unwrap().is_none());
    // The stream has ended, but is not dropped.
    assert_eq!(attributes(&telemetry.span().await.attributes)["rpc.status_code"], "OK");
    assert_eq!(telemetry.metrics().client_active_request_count(), 0);
    drop(replies);
    telemetry.span().await;
}
