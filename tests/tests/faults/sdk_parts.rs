//! Panics in custom parts of an SDK cost telemetry, but never an RPC.
//!
//! The parts are propagators, samplers, span processors, views, tracers and meters.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use integration_tests::client::{self, Kind};
use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::{block_on, in_own_process_with};
use integration_tests::panics::{
    CALLS, TRACE, assert_all_counted, assert_all_reply, panics, start, traced, with_layer,
};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::attributes;
use opentelemetry::metrics::{Histogram, HistogramBuilder, InstrumentProvider, Meter, MeterProvider, SyncInstrument};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status as SpanStatus, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{Instrument, SdkMeterProvider, Stream};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, SamplingResult, SdkTracerProvider, ShouldSample, SimpleSpanProcessor, Span, SpanData,
    SpanProcessor,
};
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer, propagation, traced_service};
use tonic::service::Routes;
use tonic::transport::Server;
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

#[derive(Clone, Debug)]
struct NoSampler;

impl ShouldSample for NoSampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        panics()
    }
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
    let tracers = SdkTracerProvider::builder().with_sampler(NoSampler).build();
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

/// The method in which a custom span panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    IsRecording,
    SetAttribute,
    UpdateName,
    End,
}

const METHODS: [Method; 4] = [
    Method::IsRecording,
    Method::SetAttribute,
    Method::UpdateName,
    Method::End,
];

#[derive(Clone)]
struct OwnTracer(Method);

impl TracerProvider for OwnTracer {
    type Tracer = Self;

    fn tracer_with_scope(&self, _: InstrumentationScope) -> Self {
        self.clone()
    }
}

impl Tracer for OwnTracer {
    type Span = OwnSpan;

    fn build_with_context(&self, _: SpanBuilder, _: &Context) -> OwnSpan {
        let id = SpanContext::new(
            TraceId::from(1),
            SpanId::from(1),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        OwnSpan(self.0, id)
    }
}

struct OwnSpan(Method, SpanContext);

impl OwnSpan {
    fn does(&self, method: Method) {
        if self.0 == method {
            panics::<()>();
        }
    }
}

impl opentelemetry::trace::Span for OwnSpan {
    fn add_event_with_timestamp<T>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>) {}

    fn span_context(&self) -> &SpanContext {
        &self.1
    }

    fn is_recording(&self) -> bool {
        self.does(Method::IsRecording);
        true
    }

    fn set_attribute(&mut self, _: KeyValue) {
        self.does(Method::SetAttribute);
    }

    fn set_status(&mut self, _: SpanStatus) {}

    fn update_name<T>(&mut self, _: T) {
        self.does(Method::UpdateName);
    }

    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}

    fn end_with_timestamp(&mut self, _: SystemTime) {
        self.does(Method::End);
    }
}

/// A service whose name differs from its path, so its span is renamed.
struct Renamed;

#[traced_service(service = "another.Service")]
#[tonic::async_trait]
impl Unary for Renamed {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn custom_tracer_panics() {
    for method in METHODS {
        let telemetry = start();
        let instrumentation = Instrumentation::builder().tracer_provider(&OwnTracer(method)).build();
        // Clones of a layer share their known methods, so create one for each server.
        let layer = || {
            ServerLayer::new()
                .instrumentation(instrumentation.clone())
                .span_attributes(|_| [KeyValue::new("a", 1)])
        };
        // The methods are unknown at first, so the layer renames the spans at their end.
        let server = serve_with(
            Server::builder().layer(layer()),
            Plain::routes(&ScriptedService::default()),
        )
        .await;
        assert_all_reply(&server).await;
        let renamed = Routes::new(UnaryServer::new(Renamed));
        let renamed = serve_with(Server::builder().layer(layer()), renamed).await;
        let (messages, _) = call_to_end(renamed.channel().await, RPCS[0], request("")).await;
        assert_eq!(messages, 1, "{method:?}");
        assert_all_counted(&telemetry, CALLS + 1).await;

        let layer = ClientLayer::new("here")
            .instrumentation(instrumentation.clone())
            .span_attributes(|_| [KeyValue::new("a", 1)]);
        let channel = layer.layer(server.channel().await);
        for kind in Kind::ALL {
            assert_eq!(client::call(channel.clone(), kind, Request::new("")).await.unwrap(), 1);
        }
        assert_eq!(telemetry.metrics().client_active_request_count(), 0);
    }
}

/// A meter whose instruments panic.
struct OwnMeter;

impl MeterProvider for OwnMeter {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(OwnMeter))
    }
}

impl InstrumentProvider for OwnMeter {
    fn f64_histogram(&self, _: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(Arc::new(OwnMeter))
    }

    fn u64_histogram(&self, _: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        Histogram::new(Arc::new(OwnMeter))
    }
}

impl<T> SyncInstrument<T> for OwnMeter {
    fn measure(&self, _: T, _: &[KeyValue]) {
        panics::<()>();
    }
}

/// The spans are complete nevertheless.
async fn assert_custom_meter_may_panic(old_names: bool) {
    let telemetry = start();
    let instrumentation = Instrumentation::builder().meter_provider(&OwnMeter).build();
    let layer = ServerLayer::new()
        .message_sizes()
        .instrumentation(instrumentation.clone());
    let server = with_layer(layer, true).await;
    assert_all_reply(&server).await;
    let channel = ClientLayer::new("here")
        .instrumentation(instrumentation)
        .layer(server.channel().await);
    for kind in Kind::ALL {
        assert_eq!(client::call(channel.clone(), kind, Request::new("")).await.unwrap(), 1);
    }
    for span in telemetry.spans(16).await {
        let found = attributes(&span.attributes);
        assert!(found.contains_key("rpc.status_code"), "{found:?}");
        assert_eq!(found.contains_key("rpc.system"), old_names, "{found:?}");
    }
}

#[tokio::test]
async fn custom_meter_panics() {
    assert_custom_meter_may_panic(false).await;
}

/// With the legacy names, each message is measured, so a panic could affect the stream.
#[test]
fn custom_meter_panics_with_legacy_names() {
    let opt_in = [("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc/dup")];
    in_own_process_with(&opt_in, || block_on(assert_custom_meter_may_panic(true)));
}
