//! Each outcome of an RPC is recorded once: a span, a duration, and the end of an active request.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use integration_tests::clock::{StoppedClock, let_pass};
use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Attributes, Log, Telemetry, attributes, expected};
use opentelemetry::trace::Status as SpanStatus;
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::traced_service;
use tokio::sync::Notify;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// A service that ends RPCs in the way that the request's text names.
#[derive(Clone, Default)]
struct EndingService {
    waiting: Arc<Notify>,
}

#[traced_service]
#[tonic::async_trait]
impl Unary for EndingService {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        match request.get_ref().text.as_str() {
            "wait" => {
                self.waiting.notify_one();
                std::future::pending().await
            }
            "panic when dropped" => {
                let _complaint = PanicsWhenDropped;
                std::future::pending().await
            }
            "panic" => panic!("the sky has fallen"),
            "panic with a number" => panic!("{} skies have fallen", 7),
            "panic with a value" => std::panic::panic_any(7),
            _ => Ok(Response::new(request.into_inner())),
        }
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for EndingService {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let first = tokio_stream::once(Ok(Message::from("first")));
        Ok(Response::new(match request.get_ref().text.as_str() {
            "wait" => Box::pin(first.chain(tokio_stream::pending())),
            "panic" => Box::pin(first.chain(tokio_stream::once(()).map(|()| panic!("the stream has dried up")))),
            "panic when dropped" => Box::pin(PanicsWhenDropped),
            "panic in size_hint" => Box::pin(PanicsInSizeHint),
            "end" => Box::pin(first),
            "fail and end" => Box::pin(tokio_stream::iter([Err(Status::unavailable("gone"))])),
            "end empty" => Box::pin(tokio_stream::empty()),
            other => return Err(Status::invalid_argument(other)),
        }))
    }
}

struct PanicsWhenDropped;

impl Stream for PanicsWhenDropped {
    type Item = Result<Message, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }
}

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("too late to complain");
    }
}

/// A stream that panics in `size_hint`, which only the attribute calls.
struct PanicsInSizeHint;

impl Stream for PanicsInSizeHint {
    type Item = Result<Message, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        panic!("who wants to know?");
    }
}

/// Returns the only span, and asserts that one duration agrees with it and no request is active.
async fn only_span(telemetry: &Telemetry) -> (SpanData, Attributes) {
    let span = telemetry.span().await;
    let found = attributes(&span.attributes);
    let metrics = telemetry.metrics();
    assert_eq!(metrics.active_request_count(), 0);
    let [(point, 1, _)] = &metrics.durations()[..] else {
        panic!("expected one duration: {metrics:?}")
    };
    assert_eq!(point["rpc.status_code"], found["rpc.status_code"]);
    assert_eq!(point.get("error.type"), found.get("error.type"));
    (span, found)
}

fn assert_cancelled((span, found): &(SpanData, Attributes)) {
    assert_eq!(found["rpc.status_code"], "CANCELLED");
    assert_eq!(found.get("error.type"), None);
    assert_eq!(span.status, SpanStatus::Unset);
}

fn assert_deadline_exceeded((span, found): &(SpanData, Attributes)) {
    assert_eq!(found["rpc.status_code"], "DEADLINE_EXCEEDED");
    assert_eq!(found["error.type"], "DEADLINE_EXCEEDED");
    assert_eq!(span.status, SpanStatus::error(""));
}

fn assert_panicked((span, found): &(SpanData, Attributes), telemetry: &Telemetry, message: &str) {
    assert_eq!(found["rpc.status_code"], "UNKNOWN");
    assert_eq!(found["error.type"], "panic");
    assert_eq!(span.status, SpanStatus::error(message.to_owned()));
    let event = Log {
        event_name: Some("rpc.server.call.exception"),
        severity: Some("ERROR"),
        body: None,
        attributes: expected([("exception.type", "panic"), ("exception.message", message)]),
        trace: Some((span.span_context.trace_id(), span.span_context.span_id())),
    };
    assert_eq!(telemetry.logs(), [event]);
}

mod completed {
    use super::*;

    #[tokio::test]
    async fn handler_returned() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(EndingService::default()))).await;
        UnaryClient::new(server.channel().await)
            .call(Message::from(""))
            .await
            .unwrap();
        assert_eq!(only_span(&telemetry).await.1["rpc.status_code"], "OK");
        assert_eq!(telemetry.logs(), []);
    }

    #[tokio::test]
    async fn stream_ended() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(ServerStreamServer::new(EndingService::default()))).await;
        let mut client = ServerStreamClient::new(server.channel().await);
        let mut replies = client.call(Message::from("end")).await.unwrap().into_inner();
        while replies.message().await.unwrap().is_some() {}
        assert_eq!(only_span(&telemetry).await.1["rpc.status_code"], "OK");
    }
}

mod first_end_counts {
    use super::*;

    #[tokio::test]
    async fn stream_polled_after_its_end() {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let call = ServerStream::call(&service, Request::new(Message::from("fail and end")));
        let mut replies = call.await.unwrap().into_inner();
        replies.next().await.unwrap().unwrap_err();
        assert!(replies.next().await.is_none());
        assert!(replies.next().await.is_none());
        drop(replies);
        assert_eq!(only_span(&telemetry).await.1["rpc.status_code"], "UNAVAILABLE");
    }
}

mod caller_cancelled {
    use super::*;

    #[tokio::test]
    async fn during_the_handler() {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let server = serve(Routes::new(UnaryServer::new(service.clone()))).await;
        let mut client = UnaryClient::new(server.channel().await);
        tokio::select! {
            reply = client.call(Message::from("wait")) => panic!("it does not reply: {reply:?}"),
            () = service.waiting.notified() => {}
        }
        assert_cancelled(&only_span(&telemetry).await);
        assert_eq!(telemetry.logs(), []);
    }

    #[tokio::test]
    async fn during_the_response_stream() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(ServerStreamServer::new(EndingService::default()))).await;
        let mut client = ServerStreamClient::new(server.channel().await);
        let mut replies = client.call(Message::from("wait")).await.unwrap().into_inner();
        replies.message().await.unwrap().unwrap();
        drop(replies);
        assert_cancelled(&only_span(&telemetry).await);
    }

    #[tokio::test]
    async fn long_before_the_deadline() {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let server = serve(Routes::new(UnaryServer::new(service.clone()))).await;
        let mut client = UnaryClient::new(server.channel().await);
        let mut request = Request::new(Message::from("wait"));
        request.set_timeout(Duration::from_secs(60 * 60));
        tokio::select! {
            reply = client.call(request) => panic!("it does not reply: {reply:?}"),
            () = service.waiting.notified() => {}
        }
        assert_cancelled(&only_span(&telemetry).await);
    }

    #[tokio::test]
    async fn handler_future_never_polled_is_not_recorded() {
        let telemetry = Telemetry::start();
        drop(Unary::call(&EndingService::default(), Request::new(Message::from(""))));
        telemetry.spans(0).await;
        assert_eq!(telemetry.metrics().duration_count(), 0);
    }
}

mod deadline_exceeded {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    #[tokio::test]
    async fn in_a_handler() {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let server = serve(Routes::new(UnaryServer::new(service.clone()))).await;
        let mut client = UnaryClient::new(server.channel().await);
        let clock = StoppedClock::stop();
        let mut request = Request::new(Message::from("wait"));
        request.set_timeout(HOUR);
        let mut call = tokio::spawn(async move { client.call(request).await });
        clock.until(&mut call, service.waiting.notified()).await;
        clock.end(call).await.unwrap().unwrap_err();
        assert_deadline_exceeded(&only_span(&telemetry).await);
    }

    #[tokio::test]
    async fn in_a_stream() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(ServerStreamServer::new(EndingService::default()))).await;
        let mut request = Request::new(Message::from("wait"));
        // tonic's client does not enforce deadlines on response streams. A client that does, such
        // as grpcio, resets the stream at its deadline.
        request.set_timeout(HOUR);
        let mut client = ServerStreamClient::new(server.channel().await);
        let mut replies = client.call(request).await.unwrap().into_inner();
        replies.message().await.unwrap().unwrap();
        let_pass(HOUR).await;
        drop(replies);
        assert_deadline_exceeded(&only_span(&telemetry).await);
    }
}

mod panicked {
    use super::*;

    async fn unary(text: &str, message: &str) {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(EndingService::default()))).await;
        UnaryClient::new(server.channel().await)
            .call(Message::from(text))
            .await
            .unwrap_err();
        assert_panicked(&only_span(&telemetry).await, &telemetry, message);
    }

    #[tokio::test]
    async fn literal_message() {
        unary("panic", "the sky has fallen").await;
    }

    #[tokio::test]
    async fn formatted_message() {
        unary("panic with a number", "7 skies have fallen").await;
    }

    #[tokio::test]
    async fn payload_that_is_not_a_string() {
        unary("panic with a value", "Box<dyn Any>").await;
    }

    #[tokio::test]
    async fn in_a_stream() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(ServerStreamServer::new(EndingService::default()))).await;
        let mut client = ServerStreamClient::new(server.channel().await);
        let mut replies = client.call(Message::from("panic")).await.unwrap().into_inner();
        while let Ok(Some(_)) = replies.message().await {}
        assert_panicked(&only_span(&telemetry).await, &telemetry, "the stream has dried up");
    }

    #[tokio::test]
    async fn on_drop_of_the_stream() {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let call = ServerStream::call(&service, Request::new(Message::from("panic when dropped")));
        let replies = call.await.unwrap().into_inner();
        let payload = catch(|| drop(replies));
        assert_eq!(payload.downcast_ref(), Some(&"too late to complain"));
        assert_panicked(&only_span(&telemetry).await, &telemetry, "too late to complain");
    }

    #[tokio::test]
    async fn on_drop_of_the_handler() {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let mut call = Unary::call(&service, Request::new(Message::from("panic when dropped")));
        assert!(
            call.as_mut()
                .poll(&mut Context::from_waker(std::task::Waker::noop()))
                .is_pending()
        );
        let payload = catch(|| drop(call));
        assert_eq!(payload.downcast_ref(), Some(&"too late to complain"));
        assert_panicked(&only_span(&telemetry).await, &telemetry, "too late to complain");
    }

    #[tokio::test]
    async fn payload_is_passed_on_unchanged() {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let mut call = Unary::call(&service, Request::new(Message::from("panic with a value")));
        let payload = catch(|| drop(call.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))));
        assert_eq!(payload.downcast_ref(), Some(&7));
        telemetry.span().await;
        // Dropping the future after the panic must not record another end.
        drop(call);
        telemetry.span().await;
    }

    fn catch(run: impl FnOnce()) -> Box<dyn Any + Send> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err()
    }
}

mod stream_dropped_without_a_last_poll {
    use super::*;

    async fn after(items: usize, text: &str) -> (SpanData, Attributes) {
        let telemetry = Telemetry::start();
        let service = EndingService::default();
        let call = ServerStream::call(&service, Request::new(Message::from(text)));
        let mut replies = call.await.unwrap().into_inner();
        for _ in 0..items {
            replies.next().await.unwrap().unwrap();
        }
        drop(replies);
        only_span(&telemetry).await
    }

    #[tokio::test]
    async fn after_its_last_item() {
        assert_eq!(after(1, "end").await.1["rpc.status_code"], "OK");
    }

    #[tokio::test]
    async fn without_items() {
        assert_eq!(after(0, "end empty").await.1["rpc.status_code"], "OK");
    }

    #[tokio::test]
    async fn panicking_size_hint() {
        assert_cancelled(&after(0, "panic in size_hint").await);
    }

    #[tokio::test]
    async fn before_its_last_item_is_cancelled() {
        assert_cancelled(&after(0, "end").await);
        assert_cancelled(&after(1, "wait").await);
    }
}
