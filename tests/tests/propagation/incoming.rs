//! The parent of the server span, and the context that reaches the handler.

use std::sync::{Arc, Mutex};

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Shared, Telemetry};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceId};
use opentelemetry::{Context, Value};
use otel_runtime::traced_service;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A service that records its context.
#[derive(Clone, Default)]
struct Witness(Shared<Option<Context>>);

#[traced_service]
#[tonic::async_trait]
impl Unary for Witness {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        tokio::task::yield_now().await;
        *self.0.lock().unwrap() = Some(Context::current());
        Ok(Response::new(request.into_inner()))
    }
}

/// Calls the service with this metadata, and returns the context of its handler.
async fn call_with(metadata: &[(&'static str, &str)]) -> Context {
    let witness = Witness(Arc::new(Mutex::new(None)));
    let server = serve(Routes::new(UnaryServer::new(witness.clone()))).await;
    let mut request = Request::new(Message::from(""));
    *request.metadata_mut() = MetadataMap::new();
    for (key, value) in metadata {
        request.metadata_mut().append(*key, value.parse().unwrap());
    }
    UnaryClient::new(server.channel().await).call(request).await.unwrap();
    witness.0.lock().unwrap().take().unwrap()
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

#[tokio::test]
async fn a_well_formed_traceparent_is_the_parent() {
    let telemetry = Telemetry::start();
    let seen = call_with(&[("traceparent", &traceparent("01")), ("tracestate", "vendor=1,other=2")]).await;

    let span = telemetry.span().await;
    assert_eq!(span.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());
    assert!(span.parent_span_is_remote);
    assert_eq!(span.span_context.trace_state().header(), "vendor=1,other=2");
    assert_eq!(span.links.len(), 0);
    // The current span of the handler is the RPC's span.
    assert_eq!(*seen.span().span_context(), span.span_context);
    assert!(!seen.span().span_context().is_remote());
}

/// In HTTP, a list may be split into several header lines.
#[tokio::test]
async fn lists_in_several_header_lines_are_joined() {
    let telemetry = Telemetry::start();
    let seen = call_with(&[
        ("traceparent", &traceparent("01")),
        ("tracestate", "vendor=1"),
        ("tracestate", "other=2,third=3"),
        ("baggage", "tenant=blue"),
        ("baggage", "zone=eu;property"),
    ])
    .await;

    let span = telemetry.span().await;
    assert_eq!(span.span_context.trace_state().header(), "vendor=1,other=2,third=3");
    assert_eq!(seen.baggage().get("tenant").unwrap().as_str(), "blue");
    assert_eq!(seen.baggage().get("zone").unwrap().as_str(), "eu");
}

#[tokio::test]
async fn the_random_flag_does_not_hide_the_sampled_one() {
    let telemetry = Telemetry::start();
    call_with(&[("traceparent", &traceparent("03"))]).await;

    let span = telemetry.span().await;
    assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());
    assert!(span.span_context.is_sampled());
}

#[tokio::test]
async fn request_without_traceparent_starts_a_trace() {
    let telemetry = Telemetry::start();
    let seen = call_with(&[]).await;

    let span = telemetry.span().await;
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert!(span.span_context.is_valid());
    assert_eq!(*seen.span().span_context(), span.span_context);
    assert!(seen.baggage().is_empty());
}

#[tokio::test]
async fn a_malformed_traceparent_starts_a_trace() {
    let zero_trace = format!("00-{:032}-{PARENT}-01", 0);
    let zero_parent = format!("00-{TRACE}-{:016}-01", 0);
    let malformed = [
        "",
        "garbage",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        &zero_trace,
        &zero_parent,
    ];
    for traceparent in malformed {
        let telemetry = Telemetry::start();
        call_with(&[("traceparent", traceparent), ("tracestate", "vendor=1")]).await;

        let span = telemetry.span().await;
        assert_eq!(span.parent_span_id, SpanId::INVALID, "{traceparent:?}");
        assert_ne!(
            span.span_context.trace_id(),
            TraceId::from_hex(TRACE).unwrap(),
            "{traceparent:?}"
        );
        assert!(span.span_context.is_valid(), "{traceparent:?}");
        assert_eq!(span.span_context.trace_state().header(), "", "{traceparent:?}");
    }
}

#[tokio::test]
async fn unsampled_parent_is_not_recorded_but_propagated() {
    let telemetry = Telemetry::start();
    let seen = call_with(&[("traceparent", &traceparent("00"))]).await;

    // The handler's calls belong to the caller's trace, as children of a non-recording span.
    let seen: SpanContext = seen.span().span_context().clone();
    assert_eq!(seen.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert_ne!(seen.span_id(), SpanId::from_hex(PARENT).unwrap());
    assert!(!seen.is_sampled());
    // Metrics do not depend on sampling.
    let metrics = telemetry.metrics();
    assert_eq!(metrics.duration_count(), 1);
    assert_eq!(metrics.active_request_count(), 0);
    telemetry.spans(0).await;
}

#[tokio::test]
async fn baggage_reaches_the_handler() {
    let telemetry = Telemetry::start();
    let seen = call_with(&[
        ("traceparent", &traceparent("01")),
        ("baggage", "user=ada,tenant=a%20b"),
    ])
    .await;

    let baggage = |key: &str| seen.baggage().get(key).map(ToString::to_string);
    assert_eq!(baggage("user").as_deref(), Some("ada"));
    assert_eq!(baggage("tenant").as_deref(), Some("a b"));
    assert_eq!(seen.baggage().len(), 2);
    // Baggage is not recorded on the span.
    let span = telemetry.span().await;
    assert!(
        span.attributes
            .iter()
            .all(|attribute| attribute.value != Value::from("ada"))
    );
}

#[tokio::test]
async fn a_caller_in_the_same_process_is_the_parent_when_nothing_comes_over_the_wire() {
    let telemetry = Telemetry::start();
    let caller = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(PARENT).unwrap(),
        opentelemetry::trace::TraceFlags::SAMPLED,
        false,
        opentelemetry::trace::TraceState::default(),
    );
    {
        use opentelemetry::trace::FutureExt;
        let call = Witness::default();
        let context = Context::new().with_remote_span_context(caller.clone());
        call.call(Request::new(Message::from("")))
            .with_context(context)
            .await
            .unwrap();
    }
    let span = telemetry.span().await;
    assert_eq!(span.parent_span_id, caller.span_id());
    assert_eq!(span.span_context.trace_id(), caller.trace_id());
}
