//! What telemetry asks of others may panic: a user's function, a propagator, a part of the SDK. That costs telemetry, never an RPC.

use std::fmt;
use std::sync::{Arc, Once};
use std::time::{Duration, SystemTime};

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
use otel_runtime::{ClientLayer, Filter, Instrumentation, RpcRequest, ServerLayer, propagation, traced_service};
use tests::client::{self, Kind};
use tests::kinds::Message;
use tests::kinds::unary_server::{Unary, UnaryServer};
use tests::rpc::{call_to_end, request};
use tests::server::{Running, serve, serve_with};
use tests::set_ups::{Annotated, Obedient, Plain, RPCS};
use tests::telemetry::{Telemetry, attributes};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower::Layer;

const ON_PURPOSE: &str = "on purpose";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn panics<T>() -> T {
    panic!("{ON_PURPOSE}")
}

/// The backtraces of panics that are meant to be would hide one that is not.
fn start() -> Telemetry {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.to_string();
            if ![ON_PURPOSE, "as asked", "index out of bounds"]
                .iter()
                .any(|meant| message.contains(meant))
            {
                eprintln!("{panic}");
            }
        }));
    });
    Telemetry::start()
}

/// Each kind of RPC as a caller with a trace makes it: with the replies of a service that nobody records.
async fn assert_all_reply(server: &Running) {
    let channel = server.channel().await;
    for rpc in RPCS {
        for (text, messages, code) in [("", 1, Code::Ok), ("5", 0, Code::NotFound)] {
            let mut request = request(text);
            let traceparent = format!("00-{TRACE}-{PARENT}-01");
            request
                .metadata_mut()
                .insert("traceparent", traceparent.parse().unwrap());
            let (found, status) = call_to_end(channel.clone(), rpc, request).await;
            assert_eq!((found, status.code()), (messages, code), "{rpc} {text}: {status}");
        }
    }
}

const CALLS: u64 = 8;

/// Nothing is active, on the thread neither.
async fn assert_all_counted(telemetry: &Telemetry, calls: u64) {
    telemetry.durations(calls).await;
    Context::map_current(|current| assert!(!current.has_active_span(), "{current:?}"));
}

async fn with_layer(layer: ServerLayer, is_annotated: bool) -> Running {
    let (server, obedient) = (Server::builder().layer(layer.methods(RPCS)), Obedient::default());
    let routes = if is_annotated {
        Annotated::routes(&obedient)
    } else {
        Plain::routes(&obedient)
    };
    serve_with(server, routes).await
}

#[tokio::test]
async fn a_servers_filter() {
    for is_annotated in [false, true] {
        let telemetry = start();
        let layer = ServerLayer::new().filter(Filter::new(|_| panics()));
        let server = with_layer(layer, is_annotated).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        telemetry.spans(8).await;
    }
}

#[tokio::test]
async fn a_servers_span_attributes() {
    for is_annotated in [false, true] {
        let telemetry = start();
        // What the function gives may panic as well.
        let layer = ServerLayer::new().span_attributes(|_| (0..2).map(|index| [KeyValue::new("a", 1)][index].clone()));
        let server = with_layer(layer, is_annotated).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        for span in telemetry.spans(8).await {
            assert!(!attributes(&span.attributes).contains_key("a"), "{span:?}");
        }
    }
}

#[tokio::test]
async fn what_tells_strangers() {
    for is_annotated in [false, true] {
        let telemetry = start();
        let layer = ServerLayer::new().public_endpoint_if(|_: &RpcRequest<'_>| panics());
        let server = with_layer(layer, is_annotated).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        for span in telemetry.spans(8).await {
            assert_eq!(span.parent_span_id, SpanId::INVALID);
            assert_eq!(span.links.len(), 1);
        }
    }
}

/// Cannot be shown.
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panics()
    }
}

struct OfFields;

#[traced_service]
#[tonic::async_trait]
impl Unary for OfFields {
    #[traced(fields(told = request.get_ref().text.len(), untold = Unspeakable.to_string()))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn fields() {
    for with_layer in [false, true] {
        let telemetry = start();
        let routes = Routes::new(UnaryServer::new(OfFields));
        let server = if with_layer {
            serve_with(Server::builder().layer(ServerLayer::new()), routes).await
        } else {
            serve(routes).await
        };
        for _ in 0..2 {
            let (messages, status) = call_to_end(server.channel().await, RPCS[0], request("")).await;
            assert_eq!((messages, status.code()), (1, Code::Ok));
        }
        telemetry.durations(2).await;
        for span in telemetry.spans(2).await {
            let attributes = attributes(&span.attributes);
            assert_eq!(attributes["rpc.status_code"], "OK");
            assert!(!attributes.contains_key("told"), "all or nothing: {attributes:?}");
        }
    }
}

struct OfInstrumentation;

impl OfInstrumentation {
    #[allow(clippy::unused_self)]
    fn instrumentation(&self) -> Instrumentation {
        panics()
    }
}

#[traced_service(instrumentation = self.instrumentation())]
#[tonic::async_trait]
impl Unary for OfInstrumentation {
    #[traced(fields(of = "another"))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// The layer goes on without the attribute.
#[tokio::test]
async fn the_expression_of_an_instrumentation() {
    for with_layer in [false, true] {
        let telemetry = start();
        let routes = Routes::new(UnaryServer::new(OfInstrumentation));
        let server = if with_layer {
            serve_with(Server::builder().layer(ServerLayer::new()), routes).await
        } else {
            serve(routes).await
        };
        for _ in 0..2 {
            let (messages, status) = call_to_end(server.channel().await, RPCS[0], request("")).await;
            assert_eq!((messages, status.code()), (1, Code::Ok));
        }
        let recorded = if with_layer { 2 } else { 0 };
        telemetry.durations(recorded).await;
        telemetry.spans(recorded.try_into().unwrap()).await;
    }
}

#[tokio::test]
async fn what_a_client_is_given() {
    let layers = [
        ClientLayer::new("here").filter(Filter::new(|_| panics())),
        ClientLayer::new("here").span_attributes(|_| panics::<Vec<_>>()),
    ];
    for layer in layers {
        let telemetry = start();
        let server = serve(Plain::routes(&Obedient::default())).await;
        let channel = layer.layer(server.channel().await);
        for kind in Kind::ALL {
            assert_eq!(client::call(channel.clone(), kind, Request::new("")).await.unwrap(), 1);
        }
        assert_eq!(telemetry.spans(4).await[0].span_kind, SpanKind::Client);
        let metrics = telemetry.metrics();
        assert_eq!(metrics.client_duration_count(), 4);
        assert_eq!(metrics.client_active_request_count(), 0);
    }
}

/// Where a propagator panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Extract,
    Inject,
    Fields,
    Debug,
}

struct Unsteady(At);

impl fmt::Debug for Unsteady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == At::Debug {
            panics::<()>();
        }
        f.write_str("Unsteady")
    }
}

impl TextMapPropagator for Unsteady {
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
async fn a_propagator() {
    for at in [At::Extract, At::Inject, At::Fields, At::Debug] {
        let telemetry = start();
        let instrumentation = Instrumentation::builder().propagator(Unsteady(at)).build();
        let server = with_layer(ServerLayer::new().instrumentation(instrumentation.clone()), true).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        let reads = matches!(at, At::Inject | At::Fields);
        for span in telemetry.spans(8).await {
            assert_eq!(span.parent_span_is_remote, reads, "{at:?}");
        }

        let telemetry = {
            drop(telemetry);
            start()
        };
        let server = serve(Plain::routes(&Obedient::default())).await;
        let layer = ClientLayer::new("here").instrumentation(instrumentation);
        let channel = layer.layer(server.channel().await);
        for kind in Kind::ALL {
            assert_eq!(client::call(channel.clone(), kind, Request::new("")).await.unwrap(), 1);
        }
        telemetry.spans(4).await;
        assert_eq!(telemetry.metrics().client_active_request_count(), 0);
    }
}

/// Whoever writes and reads by hand, in a handler perhaps.
#[test]
fn a_propagator_that_is_asked_by_hand() {
    let _telemetry = start();
    let before = opentelemetry::global::get_text_map_propagator(|propagator| propagator.fields().count());
    assert_eq!(before, 3, "the global one of the tests, which is put back below");
    let current = Context::current_with_value(1_u8);
    let _current = current.attach();
    for at in [At::Extract, At::Inject] {
        opentelemetry::global::set_text_map_propagator(Unsteady(at));
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

/// Remembers the trace that it is part of.
struct Seen(Instrumentation, tests::telemetry::Shared<Vec<TraceId>>);

#[traced_service(instrumentation = self.0)]
#[tonic::async_trait]
impl Unary for Seen {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let current = Context::map_current(|current| current.span().span_context().trace_id());
        self.1.lock().unwrap().push(current);
        Ok(Response::new(request.into_inner()))
    }
}

/// There is no span. What the handler does, belongs to the caller's trace all the same.
#[tokio::test]
async fn a_sampler() {
    let telemetry = start();
    let tracers = SdkTracerProvider::builder().with_sampler(NoSampler).build();
    let instrumentation = Instrumentation::builder().tracer_provider(&tracers).build();
    let seen = tests::telemetry::Shared::default();
    let server = serve(Routes::new(UnaryServer::new(Seen(instrumentation, seen.clone())))).await;
    for _ in 0..2 {
        let mut request = request("");
        let traceparent = format!("00-{TRACE}-{PARENT}-01");
        request
            .metadata_mut()
            .insert("traceparent", traceparent.parse().unwrap());
        let (messages, status) = call_to_end(server.channel().await, RPCS[0], request).await;
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

/// A server whose spans go to such a processor, and first to where they are seen.
async fn with_processor(processor: Unready) -> (Running, InMemorySpanExporter) {
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
async fn a_span_processor() {
    for processor in [Unready::AtTheStart, Unready::AtTheEnd] {
        let telemetry = start();
        let (server, _) = with_processor(processor).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
    }
}

/// A panic within a panic would end the process, if the second came out.
#[tokio::test]
async fn a_span_processor_while_a_handler_panics() {
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
async fn a_view() {
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

/// What a span of one's own panics at.
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

/// Has another name than its path, so its span is named anew.
struct Renamed;

#[traced_service(service = "another.Service")]
#[tonic::async_trait]
impl Unary for Renamed {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn a_tracer_of_ones_own() {
    for method in METHODS {
        let telemetry = start();
        let instrumentation = Instrumentation::builder().tracer_provider(&OwnTracer(method)).build();
        // What one has learnt, its clones know.
        let layer = || {
            ServerLayer::new()
                .instrumentation(instrumentation.clone())
                .span_attributes(|_| [KeyValue::new("a", 1)])
        };
        // Of methods that nobody has told the layer, which then takes the spans' names back.
        let server = serve_with(Server::builder().layer(layer()), Plain::routes(&Obedient::default())).await;
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

/// A meter that measures nothing without a panic.
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

/// The spans are whole all the same.
#[tokio::test]
async fn a_meter_of_ones_own() {
    let telemetry = start();
    let instrumentation = Instrumentation::builder().meter_provider(&OwnMeter).build();
    let layer = ServerLayer::new().message_sizes().instrumentation(instrumentation);
    let server = with_layer(layer, true).await;
    assert_all_reply(&server).await;
    for span in telemetry.spans(8).await {
        assert!(attributes(&span.attributes).contains_key("rpc.status_code"));
    }
}
