//! Telemetry of handlers and response streams belongs to the RPC's trace.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::names::Nothing;
use integration_tests::names::http_cache_client::HttpCacheClient;
use integration_tests::names::http_cache_server::{HttpCache, HttpCacheServer};
use integration_tests::server::{RunningServer, serve};
use integration_tests::telemetry::Telemetry;
use opentelemetry::trace::{Span, SpanId, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ClientLayer, filter, traced_service};
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tower::Layer;

/// A service that logs, creates spans of all kinds, and calls another service.
#[derive(Clone)]
struct Busy {
    downstream: Channel,
}

impl Busy {
    async fn work(self) -> Result<Message, Status> {
        global::tracer("app").start("native").end();
        instrumented().await;
        // Continue on the second poll.
        tokio::task::yield_now().await;
        // A client that propagates the trace, but records nothing.
        let channel = ClientLayer::new("downstream")
            .filter(filter::any([]))
            .layer(self.downstream);
        let mut client = HttpCacheClient::new(channel);
        client.put_kv(Nothing {}).await?;
        tracing::info!("work is done");
        Ok(Message::from("done"))
    }
}

#[tracing::instrument]
async fn instrumented() {
    tokio::task::yield_now().await;
    tracing::warn!("inside the instrumented function");
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Busy {
    async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(self.clone().work().await?))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Busy {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let busy = self.clone();
        Ok(Response::new(Box::pin(tokio_stream::once(busy).then(Busy::work))))
    }
}

struct Downstream;

#[traced_service]
#[tonic::async_trait]
impl HttpCache for Downstream {
    async fn put_kv(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
        Ok(Response::new(Nothing {}))
    }
}

async fn downstream() -> (RunningServer, Busy) {
    let server = serve(Routes::new(HttpCacheServer::new(Downstream))).await;
    let downstream = server.channel().await;
    (server, Busy { downstream })
}

/// Returns the span with this name.
fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    let mut found = spans.iter().filter(|span| span.name == name);
    match (found.next(), found.next()) {
        (Some(span), None) => span,
        _ => panic!("expected one span named {name}"),
    }
}

async fn assert_all_in_the_trace_of(rpc: &str, telemetry: &Telemetry) {
    let spans = telemetry.spans(4).await;
    let rpc = named(&spans, rpc);
    assert_eq!(rpc.parent_span_id, SpanId::INVALID);
    for child in ["native", "instrumented", "names.v1.HTTPCache/PutKV"] {
        let child = named(&spans, child);
        assert_eq!(child.parent_span_id, rpc.span_context.span_id(), "{}", child.name);
        assert_eq!(
            child.span_context.trace_id(),
            rpc.span_context.trace_id(),
            "{}",
            child.name
        );
    }
    assert_eq!(named(&spans, "names.v1.HTTPCache/PutKV").span_kind, SpanKind::Server);

    let ids = |span: &SpanData| Some((span.span_context.trace_id(), span.span_context.span_id()));
    let logs = telemetry.logs();
    let [inside, done] = &logs[..] else {
        panic!("expected two log records: {logs:?}")
    };
    assert_eq!(inside.body.as_deref(), Some("inside the instrumented function"));
    assert_eq!(inside.trace, ids(named(&spans, "instrumented")));
    assert_eq!(done.body.as_deref(), Some("work is done"));
    assert_eq!(done.trace, ids(rpc));
}

#[tokio::test]
async fn telemetry_of_a_handler_is_in_the_trace() {
    let telemetry = Telemetry::start();
    let (_downstream, busy) = downstream().await;
    let server = serve(Routes::new(UnaryServer::new(busy))).await;
    UnaryClient::new(server.channel().await)
        .call(Message::from(""))
        .await
        .unwrap();
    assert_all_in_the_trace_of("kinds.Unary/Call", &telemetry).await;
}

#[tokio::test]
async fn telemetry_of_a_response_stream_is_in_the_trace() {
    let telemetry = Telemetry::start();
    let (_downstream, busy) = downstream().await;
    let server = serve(Routes::new(ServerStreamServer::new(busy))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("")).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().text, "done");
    assert!(replies.message().await.unwrap().is_none());
    assert_all_in_the_trace_of("kinds.ServerStream/Call", &telemetry).await;
}

/// A response stream that logs on each poll, and on drop.
struct LoggingStream;

impl Stream for LoggingStream {
    type Item = Result<Message, Status>;

    fn poll_next(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        tracing::info!("polled");
        Poll::Ready(Some(Ok(Message::from(""))))
    }
}

impl Drop for LoggingStream {
    fn drop(&mut self) {
        tracing::info!("dropped");
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for LoggingStream {
    type CallStream = LoggingStream;

    async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        Ok(Response::new(LoggingStream))
    }
}

#[tokio::test]
async fn context_is_current_when_the_stream_is_dropped() {
    let telemetry = Telemetry::start();
    let before = Context::current();
    let service = LoggingStream;
    let mut replies = service
        .call(Request::new(Message::from("")))
        .await
        .unwrap()
        .into_inner();
    assert!(!Context::current().has_active_span());
    for _ in 0..2 {
        replies.next().await.unwrap().unwrap();
        assert!(!Context::current().has_active_span());
    }
    drop(replies);
    assert_eq!(Context::current().span().span_context(), before.span().span_context());
    let rpc = telemetry.span().await;
    let ids = Some((rpc.span_context.trace_id(), rpc.span_context.span_id()));
    let logs: Vec<_> = telemetry
        .logs()
        .into_iter()
        .map(|log| (log.body.unwrap(), log.trace))
        .collect();
    let said = |text: &str| (text.to_owned(), ids);
    assert_eq!(logs, [said("polled"), said("polled"), said("dropped")]);
}

/// A service that never replies, and whose handler logs on drop.
struct Stuck;

#[traced_service]
#[tonic::async_trait]
impl Unary for Stuck {
    async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        let _held = LoggingStream;
        std::future::pending().await
    }
}

#[tokio::test]
async fn context_is_current_when_the_handler_is_dropped() {
    let telemetry = Telemetry::start();
    let service = Stuck;
    let mut call = service.call(Request::new(Message::from("")));
    let waker = std::task::Waker::noop();
    assert!(call.as_mut().poll(&mut TaskContext::from_waker(waker)).is_pending());
    drop(call);

    let rpc = telemetry.span().await;
    let [dropped] = &telemetry.logs()[..] else {
        panic!("expected one log record")
    };
    assert_eq!(dropped.body.as_deref(), Some("dropped"));
    assert_eq!(
        dropped.trace,
        Some((rpc.span_context.trace_id(), rpc.span_context.span_id()))
    );
}
