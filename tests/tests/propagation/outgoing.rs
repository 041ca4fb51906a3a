//! `ClientLayer` injects the context into the request metadata, so client and server share a trace.

use std::pin::Pin;

use integration_tests::client::{Kind, call, connect};
use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::Telemetry;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{TracedChannel, traced_service};
use tokio_stream::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// A `traceparent` of another trace, set by hand.
const OLD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn caller(flags: TraceFlags, state: &str) -> Context {
    let (trace, span) = (TraceId::from_hex(TRACE).unwrap(), SpanId::from_hex(PARENT).unwrap());
    let state: TraceState = state.parse().unwrap();
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
}

/// Calls in this context with this metadata, and returns the received metadata.
async fn sent(context: Context, metadata: &[(&'static str, &str)]) -> MetadataMap {
    let service = ScriptedService::default();
    let server = serve(service.routes()).await;
    let mut request = Request::new("hello");
    for (key, value) in metadata {
        request.metadata_mut().append(*key, value.parse().unwrap());
    }
    let channel = connect(&server).await;
    call(channel, Kind::Unary, request).with_context(context).await.unwrap();
    service.only_metadata()
}

fn all<'a>(metadata: &'a MetadataMap, key: &str) -> Vec<&'a str> {
    metadata
        .get_all(key)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

fn traceparent(span: &SpanContext) -> String {
    format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags())
}

#[tokio::test]
async fn client_span_is_injected() {
    let telemetry = Telemetry::start();
    let metadata = sent(Context::new(), &[]).await;
    let span = telemetry.span().await;
    assert_eq!(all(&metadata, "traceparent"), [traceparent(&span.span_context)]);
    assert_eq!(all(&metadata, "baggage"), [""; 0]);
}

#[tokio::test]
async fn stale_trace_headers_are_replaced() {
    let telemetry = Telemetry::start();
    let left = [("traceparent", OLD), ("traceparent", OLD), ("tracestate", "old=1")];
    let metadata = sent(caller(TraceFlags::SAMPLED, "new=1"), &left).await;
    let span = telemetry.span().await;
    assert_eq!(span.parent_span_id.to_string(), PARENT);
    assert_eq!(all(&metadata, "traceparent"), [traceparent(&span.span_context)]);
    assert_eq!(all(&metadata, "tracestate"), ["new=1"]);
    drop(telemetry);

    // The stale header is removed even if there is no span context to inject.
    let _telemetry = Telemetry::start();
    let metadata = sent(caller(TraceFlags::SAMPLED, ""), &left).await;
    assert_eq!(
        metadata.get("tracestate").map_or("", |state| state.to_str().unwrap()),
        ""
    );
}

#[tokio::test]
async fn baggage_is_injected() {
    let _telemetry = Telemetry::start();
    let context = caller(TraceFlags::SAMPLED, "").with_baggage([KeyValue::new("user", "ada")]);
    assert_eq!(all(&sent(context.clone(), &[]).await, "baggage"), ["user=ada"]);
    // Injected baggage replaces the header, like all fields of a propagator.
    let metadata = sent(context, &[("baggage", "by=hand")]).await;
    assert_eq!(all(&metadata, "baggage"), ["user=ada"]);
}

#[tokio::test]
async fn manual_baggage_header_remains_if_the_context_has_none() {
    let _telemetry = Telemetry::start();
    let metadata = sent(Context::new(), &[("baggage", "by=hand"), ("baggage", "by=foot")]).await;
    assert_eq!(all(&metadata, "baggage"), ["by=hand", "by=foot"]);
}

#[tokio::test]
async fn other_metadata_is_unchanged() {
    let _telemetry = Telemetry::start();
    let metadata = sent(Context::new(), &[("x-tenant", "a"), ("x-tenant", "b")]).await;
    assert_eq!(all(&metadata, "x-tenant"), ["a", "b"]);
}

#[tokio::test]
async fn unsampled_flag_is_propagated() {
    let telemetry = Telemetry::start();
    let metadata = sent(caller(TraceFlags::NOT_SAMPLED, ""), &[]).await;
    let [traceparent] = all(&metadata, "traceparent")[..] else {
        panic!("{metadata:?}")
    };
    assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{traceparent}");
    assert!(traceparent.ends_with("-00"), "{traceparent}");
    telemetry.spans(0).await;
}

/// A service that calls the next one in its handler, and for each message of its response stream.
struct Front {
    behind: TracedChannel,
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Front {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let mut behind = UnaryClient::new(self.behind.clone());
        let message = request.into_inner();
        behind.call(message.clone()).await?;
        let replies = tokio_stream::iter([message.clone(), message]).then(move |message| {
            let mut behind = behind.clone();
            async move { behind.call(message).await.map(Response::into_inner) }
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

struct Behind;

#[traced_service]
#[tonic::async_trait]
impl Unary for Behind {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Returns the children of the span `parent`, or the roots if it is invalid.
fn children(spans: &[SpanData], parent: SpanId) -> Vec<&SpanData> {
    spans.iter().filter(|span| span.parent_span_id == parent).collect()
}

#[tokio::test]
async fn client_and_server_alternate_in_one_trace() {
    let telemetry = Telemetry::start();
    let behind = serve(Routes::new(UnaryServer::new(Behind))).await;
    let front = Front {
        behind: connect(&behind).await,
    };
    let front = serve(Routes::new(ServerStreamServer::new(front))).await;
    let channel = connect(&front).await;
    assert_eq!(
        call(channel, Kind::ServerStream, Request::new("hello")).await.unwrap(),
        2
    );

    let spans = telemetry.spans(8).await;
    let trace = spans[0].span_context.trace_id();
    assert!(spans.iter().all(|span| span.span_context.trace_id() == trace));
    let only_child = |parent: SpanId| {
        let children = children(&spans, parent);
        assert_eq!(children.len(), 1, "{children:?}");
        (
            children[0].name.clone().into_owned(),
            children[0].span_kind.clone(),
            children[0].span_context.span_id(),
        )
    };
    let (name, kind, id) = only_child(SpanId::INVALID);
    assert_eq!((name.as_str(), kind), ("kinds.ServerStream/Call", SpanKind::Client));
    let (name, kind, id) = only_child(id);
    assert_eq!((name.as_str(), kind), ("kinds.ServerStream/Call", SpanKind::Server));
    let outgoing = children(&spans, id);
    assert_eq!(outgoing.len(), 3);
    for outgoing in outgoing {
        assert_eq!(
            (&*outgoing.name, &outgoing.span_kind),
            ("kinds.Unary/Call", &SpanKind::Client)
        );
        assert!(!outgoing.parent_span_is_remote);
        let (name, kind, id) = only_child(outgoing.span_context.span_id());
        assert_eq!((name.as_str(), kind), ("kinds.Unary/Call", SpanKind::Server));
        assert_eq!(children(&spans, id).len(), 0);
    }
}
