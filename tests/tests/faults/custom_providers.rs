//! Panics in tracers and meters that are not the SDK's cost telemetry, but never an RPC.

use std::sync::Arc;
use std::time::SystemTime;

use integration_tests::client::{self, Kind};
use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::{block_on, in_own_process_with};
use integration_tests::panics::{CALLS, assert_all_counted, assert_all_reply, panics, start, with_layer};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::serve_with;
use integration_tests::telemetry::attributes;
use opentelemetry::metrics::{Histogram, HistogramBuilder, InstrumentProvider, Meter, MeterProvider, SyncInstrument};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, Status as SpanStatus, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer, traced_service};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower::Layer;

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
