//! Panics in custom parts of an SDK cost telemetry, but never an RPC.
//!
//! The parts are propagators, samplers, span processors and views.

use std::fmt;
use std::time::Duration;

use integration_tests::client::{self, Kind};
use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::panics::{
    CALLS, PanickingSampler, TRACE, assert_all_counted, assert_all_reply, panics, start, traced, with_layer,
};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Status as SpanStatus, TraceContextExt, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, SdkTracerProvider, SimpleSpanProcessor, Span, SpanData, SpanProcessor,
};
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer, propagation, traced_service};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tower::Layer;

/// The method in which a propagator panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Extract,
    Inject,
    Fields,
    Debug,
}

struct PanickingPropagator(At);

impl fmt::Debug for PanickingPropagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == At::Debug {
            panics::<()>();
        }
        f.write_str("PanickingPropagator")
    }
}

impl TextMapPropagator for PanickingPropagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        if self.0 == At::Inject {
            panics::<()>();
        }
        TraceContextPropagator::new().inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        if self.0 == At::Extract {
            panics::<()>();
        }
        TraceContextPropagator::new().extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        if self.0 == At::Fields {
            panics::<()>();
        }
        FieldIter::new(&[])
    }
}

#[tokio::test]
async fn propagator_panics() {
    for at in [At::Extract, At::Inject, At::Fields, At::Debug] {
        let telemetry = start();
        let instrumentation = Instrumentation::builder().propagator(PanickingPropagator(at)).build();
        let server = with_layer(ServerLayer::new().instrumentation(instrumentation.clone()), true).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        let reads = at != At::Extract;
        for span in telemetry.spans(8).await {
            assert_eq!(span.parent_span_is_remote, reads, "{at:?}");
        }

        let telemetry = {
            drop(telemetry);
            start()
        };
        let server = serve(Plain::routes(&ScriptedService::default())).await;
        let layer = ClientLayer::new("here").instrumentation(instrumentation);
        let channel = layer.layer(server.channel().await);
        for kind in Kind::ALL {
            assert_eq!(client::call(channel.clone(), kind, Request::new("")).await.unwrap(), 1);
        }
        telemetry.spans(4).await;
        assert_eq!(telemetry.metrics().client_active_request_count(), 0);
    }
}

/// `inject_current` and `extract` do not panic if the propagator does.
#[test]
fn propagator_panics_in_manual_propagation() {
    let _telemetry = start();
    let before = opentelemetry::global::get_text_map_propagator(|propagator| propagator.fields().count());
    assert_eq!(before, 3, "the global one of the tests, which is put back below");
    let current = Context::current_with_value(1_u8);
    let _current = current.attach();
    for at in [At::Extract, At::Inject] {
        opentelemetry::global::set_text_map_propagator(PanickingPropagator(at));
        let mut headers = tonic::metadata::MetadataMap::new();
        propagation::inject_current(&mut headers);
        assert_eq!(propagation::extract(&headers).get::<u8>(), Some(&1));
    }
    opentelemetry::global::set_text_map_propagator(opentelemetry::propagation::TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(opentelemetry_sdk::propagation::BaggagePropagator::new()),
    ]));
}

/// A service that records the trace ID of its context.
struct Seen(Instrumentation, integration_tests::telemetry::Shared<Vec<TraceId>>);

#[traced_service(instrumentation = self.0)]
#[tonic::async_trait]
impl Unary for Seen {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let current = Context::map_current(|current| current.span().span_context().trace_id());
        self.1.lock().unwrap().push(current);
        Ok(Response::new(request.into_inner()))
    }
}

/// Without a sampling decision there is no span, but the caller's trace is propagated.
#[tokio::test]
async fn sampler_panics() {
    let telemetry = start();
    let tracers = SdkTracerProvider::builder().with_sampler(PanickingSampler).build();
    let instrumentation = Instrumentation::builder().tracer_provider(&tracers).build();
    let seen = integration_tests::telemetry::Shared::default();
    let server = serve(Routes::new(UnaryServer::new(Seen(instrumentation, seen.clone())))).await;
    for _ in 0..2 {
        let (messages, status) = call_to_end(server.channel().await, RPCS[0], traced(request(""))).await;
        assert_eq!((messages, status.code()), (1, Code::Ok));
    }
    telemetry.durations(2).await;
    assert_eq!(*seen.lock().unwrap(), [TraceId::from_hex(TRACE).unwrap(); 2]);
}

#[derive(Debug)]
enum Unready {
    AtTheStart,
    AtTheEnd,
}

impl SpanProcessor for Unready {
    fn on_start(&self, _: &mut Span, _: &Context) {
        if matches!(self, Unready::AtTheStart) {
            panics::<()>();
        }
    }

    fn on_end(&self, _: SpanData) {
        if matches!(self, Unready::AtTheEnd) {
            panics::<()>();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Starts a server whose spans go to an in-memory exporter, and then to this processor.
async fn with_processor(processor: Unready) -> (RunningServer, InMemorySpanExporter) {
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder()
        .with_span_processor(SimpleSpanProcessor::new(spans.clone()))
        .with_span_processor(processor)
        .build();
    let instrumentation = Instrumentation::builder().tracer_provider(&tracers).build();
    let layer = ServerLayer::new().instrumentation(instrumentation);
    (with_layer(layer, true).await, spans)
}

#[tokio::test]
async fn span_processor_panics() {
    for processor in [Unready::AtTheStart, Unready::AtTheEnd] {
        let telemetry = start();
        let (server, _) = with_processor(processor).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
    }
}

/// A panic during another panic would abort the process.
#[tokio::test]
async fn span_processor_panics_during_a_handlers_panic() {
    let telemetry = start();
    let (server, spans) = with_processor(Unready::AtTheEnd).await;
    let channel = server.channel().await;
    for rpc in RPCS {
        let (_, status) = call_to_end(channel.clone(), rpc, request("panic")).await;
        assert_ne!(status.code(), Code::Ok);
    }
    telemetry.durations(4).await;
    let spans = spans.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 4);
    for span in spans {
        assert_eq!(span.status, SpanStatus::error("as asked"));
    }
}

#[tokio::test]
async fn view_panics() {
    let telemetry = start();
    let meters = SdkMeterProvider::builder()
        .with_reader(opentelemetry_sdk::metrics::ManualReader::builder().build())
        .with_view(|_: &Instrument| -> Option<Stream> { panics() })
        .build();
    let instrumentation = Instrumentation::builder().meter_provider(&meters).build();
    let layer = ServerLayer::new().message_sizes().instrumentation(instrumentation);
    let server = with_layer(layer, true).await;
    assert_all_reply(&server).await;
    telemetry.spans(8).await;
}
