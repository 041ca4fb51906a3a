//! The random flag of traces that start here, with the ids of `otel_setup`'s provider.

use integration_tests::bridge::{Bridge, lines};
use integration_tests::client::{Kind, call};
use integration_tests::own_process::in_own_process_async;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{IdGenerator, InMemorySpanExporter, RandomIdGenerator, Sampler, SdkTracerProvider};
use otel_runtime::{ClientLayer, Instrumentation};
use tonic::Request;
use tonic::metadata::MetadataMap;
use tower_layer::Layer;

fn flags(metadata: &MetadataMap) -> String {
    let lines = lines(metadata, "traceparent");
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0][53..].to_owned()
}

/// Calls a server with a client of this instrumentation, and returns the flags that it sends.
async fn sent(instrumentation: Option<Instrumentation>, context: Context) -> String {
    let service = ScriptedService::default();
    let server = serve(service.routes()).await;
    let mut layer = ClientLayer::new("greeter.example");
    if let Some(instrumentation) = instrumentation {
        layer = layer.instrumentation(instrumentation);
    }
    let channel = layer.layer(server.channel().await);
    let _context = context.attach();
    call(channel, Kind::Unary, Request::new("hello")).await.unwrap();
    flags(&service.only_metadata())
}

/// Ids of which nothing is known.
#[derive(Debug)]
struct OtherIds(RandomIdGenerator);

impl IdGenerator for OtherIds {
    fn new_trace_id(&self) -> TraceId {
        self.0.new_trace_id()
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

#[test]
fn traces_that_start_here_have_the_random_flag_if_their_ids_are_random() {
    in_own_process_async(with_the_setup());
}

async fn with_the_setup() {
    let spans = InMemorySpanExporter::default();
    let _telemetry = otel_setup::builder()
        .without_subscriber()
        .trace_exporters([])
        .metric_exporters([])
        .log_exporters([])
        .configure_tracer_provider(move |provider| provider.with_simple_exporter(spans))
        .init()
        .unwrap();

    // A client's root, and a server's root with the calls below it.
    assert_eq!(sent(None, Context::new()).await, "03");
    let bridge = Bridge::start().await;
    for metadata in bridge.send::<&str, &str>(&[], 3).await {
        assert_eq!(flags(&metadata), "03");
    }
    // Other traces keep what they came with.
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (received, expected) in [("01", "01"), ("03", "03"), ("00", "00"), ("02", "02")] {
        let traceparent = traceparent.replace("-01", &format!("-{received}"));
        let metadata = bridge.send(&[("traceparent", traceparent)], 1).await;
        assert_eq!(flags(&metadata[0]), expected);
    }

    // A generator that does not tell what its ids are, and roots that are not sampled.
    let unsampled = SdkTracerProvider::builder().with_sampler(Sampler::AlwaysOff);
    let unsampled = unsampled
        .with_id_generator(OtherIds(RandomIdGenerator::default()))
        .build();
    let own = Instrumentation::builder().tracer_provider(&unsampled).build();
    assert_eq!(
        sent(Some(own.clone()), Context::new()).await,
        "00",
        "nothing is known of the ids"
    );
    let root = unsampled.tracer("test").start("root");
    assert_eq!(sent(Some(own), Context::new().with_span(root)).await, "00");
}
