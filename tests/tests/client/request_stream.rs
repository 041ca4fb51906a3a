//! The spans that are started while a client streams its messages: they belong to the call.

use integration_tests::client::{Kind, connect, endpoint};
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::client_stream_client::ClientStreamClient;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::Telemetry;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{FutureExt, Span, SpanId, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, baggage::BaggageExt};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ClientLayer, TracedChannel, filter};
use tokio_stream::{Stream, StreamExt};
use tower_layer::Layer;

/// Starts a span for each message, and for its own drop.
struct Producer {
    tracer: BoxedTracer,
}

impl Producer {
    fn new() -> Self {
        Producer {
            tracer: global::tracer("test"),
        }
    }

    fn message(&self, text: &'static str) -> Message {
        self.tracer.start(text).end();
        Message::from(text)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.tracer.start("dropped").end();
    }
}

/// Produces three messages: one at once, and the others after a wait.
fn messages() -> impl Stream<Item = Message> + Send + 'static {
    let producer = Producer::new();
    tokio_stream::iter(["first", "second", "third"])
        .then(|text| async move {
            if text != "first" {
                tokio::task::yield_now().await;
            }
            text
        })
        .map(move |text| producer.message(text))
}

/// Returns the names of the spans whose parent is `parent`, in order of their start.
fn children(spans: &[SpanData], parent: SpanId) -> Vec<&str> {
    let mut children: Vec<_> = spans.iter().filter(|span| span.parent_span_id == parent).collect();
    children.sort_by_key(|span| span.start_time);
    children.iter().map(|span| &*span.name).collect()
}

const PRODUCED: [&str; 4] = ["first", "second", "third", "dropped"];

#[tokio::test]
async fn are_children_of_the_client_span() {
    for kind in [Kind::ClientStream, Kind::Bidi] {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let channel = connect(&server).await;
        if kind == Kind::ClientStream {
            ClientStreamClient::new(channel).call(messages()).await.unwrap();
        } else {
            let mut replies = BidiClient::new(channel).call(messages()).await.unwrap().into_inner();
            while replies.message().await.unwrap().is_some() {}
        }
        let spans = telemetry.spans(5).await;
        let client = spans.iter().find(|span| span.span_kind == SpanKind::Client).unwrap();
        assert_eq!(client.name, kind.method());
        assert_eq!(children(&spans, client.span_context.span_id()), PRODUCED, "{kind:?}");
        assert_eq!(children(&spans, SpanId::INVALID), [kind.method()], "{kind:?}");
    }
}

#[tokio::test]
async fn are_children_of_the_callers_span_if_the_call_is_filtered() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let channel = endpoint(server.address).connect().await.unwrap();
    let layer = ClientLayer::new("greeter.example").filter(filter::any([]));
    let mut client = ClientStreamClient::new(layer.layer(channel));
    let caller = global::tracer("test").start("caller");
    let caller = Context::new().with_span(caller);
    client.call(messages()).with_context(caller.clone()).await.unwrap();
    let span_id = caller.span().span_context().span_id();
    drop(caller);
    let spans = telemetry.spans(5).await;
    assert_eq!(children(&spans, span_id), PRODUCED);
}

/// The baggage is there, too, and a call that is given up drops its stream in its context.
#[tokio::test]
async fn a_stream_that_is_given_up_is_dropped_in_its_call() {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = serve(service.routes()).await;
    let channel: TracedChannel = connect(&server).await;
    let producer = Producer::new();
    let (tenant_tx, mut tenant) = tokio::sync::mpsc::unbounded_channel();
    let waiting = tokio_stream::once(())
        .map(move |()| {
            let tenant = Context::map_current(|current| current.baggage().get("tenant").map(ToString::to_string));
            tenant_tx.send(tenant).unwrap();
            producer.message("wait")
        })
        .chain(tokio_stream::pending());
    let context = Context::new().with_baggage([opentelemetry::KeyValue::new("tenant", "blue")]);
    let call = tokio::spawn(async move {
        ClientStreamClient::new(channel)
            .call(waiting)
            .with_context(context)
            .await
    });
    assert_eq!(tenant.recv().await.unwrap().as_deref(), Some("blue"));
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let spans = telemetry.spans(3).await;
    let client = spans.iter().find(|span| span.span_kind == SpanKind::Client).unwrap();
    assert_eq!(children(&spans, client.span_context.span_id()), ["wait", "dropped"]);
}
