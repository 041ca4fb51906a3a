//! Untrusted callers of a public endpoint: each RPC starts a new trace, with a link to the caller.

use std::sync::Arc;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Shared, Telemetry};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use otel_runtime::propagation::{B3Propagator, SamplingState};
use otel_runtime::{Instrumentation, traced_service};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[derive(Clone, Default)]
struct Public(Shared<Vec<Context>>);

#[traced_service(public_endpoint)]
#[tonic::async_trait]
impl Unary for Public {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.0.lock().unwrap().push(Context::current());
        Ok(Response::new(request.into_inner()))
    }
}

async fn call_with(metadata: &[(&'static str, String)]) -> Context {
    let service = Public(Arc::default());
    let server = serve(Routes::new(UnaryServer::new(service.clone()))).await;
    let mut request = Request::new(Message::from(""));
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, value.parse().unwrap());
    }
    UnaryClient::new(server.channel().await).call(request).await.unwrap();
    service.0.lock().unwrap().remove(0)
}

#[tokio::test]
async fn caller_with_a_trace_is_linked_once() {
    let telemetry = Telemetry::start();
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let seen = call_with(&[("traceparent", traceparent), ("baggage", "user=ada".into())]).await;

    let span = telemetry.span().await;
    assert_eq!(span.parent_span_id, SpanId::INVALID);
    assert_ne!(span.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert!(span.span_context.is_valid());
    assert_eq!(span.links.len(), 1);
    let link = &span.links[0].span_context;
    assert_eq!(link.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert_eq!(link.span_id(), SpanId::from_hex(PARENT).unwrap());
    assert!(link.is_remote());
    assert_eq!(*seen.span().span_context(), span.span_context);
    assert_eq!(
        seen.baggage().get("user").map(ToString::to_string).as_deref(),
        Some("ada")
    );
}

#[tokio::test]
async fn unsampled_caller_does_not_disable_sampling() {
    let telemetry = Telemetry::start();
    call_with(&[("traceparent", format!("00-{TRACE}-{PARENT}-00"))]).await;
    assert!(telemetry.span().await.span_context.is_sampled());
}

#[tokio::test]
async fn caller_without_a_trace_is_not_linked() {
    for metadata in [&[][..], &[("traceparent", "garbage".to_owned())]] {
        let telemetry = Telemetry::start();
        call_with(metadata).await;
        let span = telemetry.span().await;
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        assert_eq!(span.links.len(), 0);
    }
}

struct PublicToB3 {
    seen: Shared<Vec<Option<SamplingState>>>,
    instrumentation: Instrumentation,
}

#[traced_service(public_endpoint, instrumentation = self.instrumentation)]
#[tonic::async_trait]
impl Unary for PublicToB3 {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.seen
            .lock()
            .unwrap()
            .push(SamplingState::from_context(&Context::current()));
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn debug_flag_of_a_caller_is_not_propagated() {
    for b3 in ["d", &format!("{TRACE}-{PARENT}-d")] {
        let telemetry = Telemetry::start();
        let seen = Shared::default();
        let service = PublicToB3 {
            seen: Arc::clone(&seen),
            instrumentation: Instrumentation::builder().propagator(B3Propagator::single()).build(),
        };
        let server = serve(Routes::new(UnaryServer::new(service))).await;
        let mut request = Request::new(Message::from(""));
        request.metadata_mut().insert("b3", b3.parse().unwrap());
        UnaryClient::new(server.channel().await).call(request).await.unwrap();

        assert_eq!(telemetry.span().await.parent_span_id, SpanId::INVALID);
        assert_eq!(*seen.lock().unwrap(), [Some(SamplingState::Accept)], "{b3}");
    }
}
