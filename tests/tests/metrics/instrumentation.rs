//! A service with its own instrumentation records nothing with the global providers.

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::server::serve;
use integration_tests::telemetry::Telemetry;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, propagation::text_map_propagator::FieldIter};
use otel_runtime::{Instrumentation, traced_service};
use otel_setup::testing::TestTelemetry;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

struct Service {
    instrumentation: Instrumentation,
}

#[traced_service(instrumentation = self.instrumentation)]
#[tonic::async_trait]
impl ServerStream for Service {
    type CallStream = tokio_stream::Once<Result<Message, Status>>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
    }
}

/// A propagator that extracts the parent from a custom header: `parent: TRACE SPAN`.
#[derive(Debug)]
struct Homemade;

impl TextMapPropagator for Homemade {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let Some((trace, span)) = extractor.get("parent").and_then(|parent| parent.split_once(' ')) else {
            return context.clone();
        };
        let (trace, span) = (TraceId::from_hex(trace).unwrap(), SpanId::from_hex(span).unwrap());
        let parent = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
        context.with_remote_span_context(parent)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[tokio::test]
async fn uses_the_given_providers_and_propagator() {
    let global = Telemetry::start();
    let own = TestTelemetry::with_propagator(Homemade);
    let instrumentation = own.instrumentation();
    let server = serve(Routes::new(ServerStreamServer::new(Service { instrumentation }))).await;
    let mut request = Request::new(Message::from(""));
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    request
        .metadata_mut()
        .insert("parent", format!("{trace} {parent}").parse().unwrap());
    let mut replies = ServerStreamClient::new(server.channel().await)
        .call(request)
        .await
        .unwrap()
        .into_inner();
    while replies.message().await.unwrap().is_some() {}

    let span = own.spans(1).await.remove(0);
    assert_eq!(span.name, "kinds.ServerStream/Call");
    assert_eq!(span.parent_span_id.to_string(), parent);
    assert_eq!(span.span_context.trace_id().to_string(), trace);
    assert_eq!(span.instrumentation_scope.name(), "otel-runtime");
    assert_eq!(
        span.instrumentation_scope.schema_url(),
        Some("https://opentelemetry.io/schemas/1.45.0")
    );

    assert_eq!(
        own.metrics().names(),
        ["rpc.server.active_requests", "rpc.server.call.duration"]
    );

    global.spans(0).await;
    assert_eq!(global.metrics().duration_count(), 0);
}
