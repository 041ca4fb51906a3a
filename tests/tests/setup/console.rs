//! The exporters of `otel_setup::console`, with RPCs over a socket, as text and as JSON.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock};

use integration_tests::child::ProcessOutput;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process;
use integration_tests::server::{RunningServer, TIMEOUT, serve};
use opentelemetry::trace::{FutureExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use otel_runtime::{Instrumentation, traced_service};
use otel_setup::console::{ConsoleLogExporter, ConsoleMetricExporter, ConsoleSpanExporter};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;

/// Captures log events of all tests.
///
/// The subscriber is installed before the first event: `tracing` caches whether one is enabled.
static LOGGED: LazyLock<Written> = LazyLock::new(|| {
    let written = Written::default();
    let loggers = SdkLoggerProvider::builder()
        .with_simple_exporter(ConsoleLogExporter::json().writer(written.clone()))
        .build();
    let ours = filter_fn(|metadata| metadata.target() == "shop");
    let bridge = OpenTelemetryTracingBridge::new(&loggers).with_filter(ours);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(bridge))
        .expect("no other subscriber is set");
    written
});

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A writer for the exporters that lets tests wait for output.
#[derive(Clone, Default)]
struct Written(watch::Sender<String>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.send_modify(|written| written.push_str(text));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        self.0.borrow().clone()
    }

    /// Waits for this number of lines, and returns them.
    async fn lines(&self, count: usize) -> Vec<String> {
        let mut written = self.0.subscribe();
        let enough = written.wait_for(|written| written.lines().count() >= count);
        let text = timeout(TIMEOUT, enough).await.expect("output in time").unwrap().clone();
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{text}");
        lines
    }
}

/// A service that starts a span in each RPC, and on request one after its end.
#[derive(Clone)]
struct Shop {
    instrumentation: Instrumentation,
    tracer: SdkTracer,
    later: Arc<Notify>,
}

#[traced_service(instrumentation = self.instrumentation)]
#[tonic::async_trait]
impl Unary for Shop {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.tracer.in_span("price", |_| self.tracer.in_span("lookup", |_| {}));
        tracing::info!(target: "shop", item = "tea", "priced");
        let message = request.into_inner();
        match message.text.as_str() {
            "later" => {
                let (tracer, later) = (self.tracer.clone(), Arc::clone(&self.later));
                let task = async move {
                    later.notified().await;
                    tracer.in_span("receipt", |_| {});
                };
                tokio::spawn(task.with_context(Context::current()));
            }
            "fail" => return Err(Status::internal("no\x1b[2J tea")),
            _ => {}
        }
        Ok(Response::new(message))
    }
}

/// A running service, and its exporters.
struct Open {
    shop: Shop,
    server: RunningServer,
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    traces: Written,
    metrics: Written,
}

impl Open {
    async fn with(spans: ConsoleSpanExporter, metrics: ConsoleMetricExporter) -> Self {
        LazyLock::force(&LOGGED);
        let (drawn, measured) = (Written::default(), Written::default());
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", "shop"))
            .build();
        let tracers = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_simple_exporter(spans.writer(drawn.clone()))
            .build();
        let meters = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(PeriodicReader::builder(metrics.writer(measured.clone())).build())
            .build();
        let shop = Shop {
            instrumentation: Instrumentation::builder()
                .tracer_provider(&tracers)
                .meter_provider(&meters)
                .propagator(TraceContextPropagator::new())
                .build(),
            tracer: tracers.tracer("shop"),
            later: Arc::default(),
        };
        Open {
            server: serve(Routes::new(UnaryServer::new(shop.clone()))).await,
            shop,
            tracers,
            meters,
            traces: drawn,
            metrics: measured,
        }
    }

    async fn pretty() -> Self {
        Self::with(ConsoleSpanExporter::pretty(), ConsoleMetricExporter::pretty()).await
    }

    async fn json() -> Self {
        Self::with(ConsoleSpanExporter::json(), ConsoleMetricExporter::json()).await
    }

    async fn call(&self, message: &str) -> Result<(), Status> {
        self.call_with(Request::new(Message::from(message))).await
    }

    async fn call_with(&self, request: Request<Message>) -> Result<(), Status> {
        let mut client = UnaryClient::new(self.server.channel().await);
        client.call(request).await.map(drop)
    }
}

/// Returns the name of a span with its indentation.
fn name(line: &str) -> &str {
    let kinds = ["  server  ", "  internal  "];
    let end = kinds.iter().filter_map(|kind| line.find(kind)).min();
    line[..end.unwrap_or(line.len())].trim_end()
}

const PRICED: [&str; 3] = ["kinds.Unary/Call", "└─ price", "   └─ lookup"];

#[tokio::test]
async fn each_rpc_is_drawn_once_with_its_children() {
    let open = Open::pretty().await;
    for number in 1..=3 {
        open.call("").await.unwrap();
        // Each trace has a heading, three spans, and an empty line.
        let lines = open.traces.lines(5 * number).await;
        let trace = &lines[5 * (number - 1)..];
        assert!(trace[0].starts_with(&format!("trace {number} ")), "{}", trace[0]);
        assert_eq!(trace[1..4].iter().map(|line| name(line)).collect::<Vec<_>>(), PRICED);
        assert!(trace[1].contains("  OK  █"), "{}", trace[1]);
        assert_eq!(trace[4], "");
    }
    let all = open.traces.text();
    open.tracers.shutdown().unwrap();
    assert_eq!(open.traces.text(), all);
}

#[tokio::test]
async fn control_characters_of_error_messages_are_escaped() {
    let open = Open::pretty().await;
    open.call("fail").await.unwrap_err();
    let lines = open.traces.lines(6).await;
    assert!(lines[1].contains("  ✗ INTERNAL  █"), "{}", lines[1]);
    assert_eq!(lines[2], "│  no\\u{1b}[2J tea");
}

#[tokio::test]
async fn late_span_is_drawn_below_the_name_of_its_rpc() {
    let open = Open::pretty().await;
    open.call("later").await.unwrap();
    let heading = open.traces.lines(5).await.remove(0);
    open.shop.later.notify_one();
    let lines = open.traces.lines(9).await;
    assert_eq!(lines[5], format!("{heading} continued"));
    assert_eq!(lines[6], "(kinds.Unary/Call, above)");
    assert_eq!(name(&lines[7]), "└─ receipt");
}

#[tokio::test]
async fn trace_with_a_remote_parent_is_drawn_at_once() {
    let open = Open::pretty().await;
    let mut request = Request::new(Message::from(""));
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    open.call_with(request).await.unwrap();
    let lines = open.traces.lines(6).await;
    assert_eq!(lines[0], format!("trace 1 {TRACE}"));
    assert_eq!(lines[1], format!("(remote parent {PARENT})"));
    let names: Vec<_> = lines[2..5].iter().map(|line| name(line)).collect();
    assert_eq!(names, ["└─ kinds.Unary/Call", "   └─ price", "      └─ lookup"]);
}

#[tokio::test]
async fn metrics_are_drawn_as_tables() {
    let open = Open::pretty().await;
    open.call("").await.unwrap();
    open.call("fail").await.unwrap_err();
    open.traces.lines(11).await;
    open.meters.shutdown().unwrap();
    let text = open.metrics.text();
    assert!(text.starts_with("metrics 20"), "{text}");
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .collect();
    for expected in [
        &["rpc.method", "rpc.status_code", "error.type", "count", "mean", "max"][..],
        &["rpc.method", "now"],
        &["kinds.Unary/Call", "0"],
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected:?} in\n{text}");
    }
    for expected in [
        &["kinds.Unary/Call", "OK", "1"][..],
        &["kinds.Unary/Call", "INTERNAL", "INTERNAL", "1"],
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(expected)),
            "{expected:?} in\n{text}"
        );
    }
}

#[tokio::test]
async fn json_has_one_object_per_line() {
    let open = Open::json().await;
    open.call("").await.unwrap();

    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let spans: Vec<_> = open.traces.lines(3).await.iter().map(|line| parse(line)).collect();
    let [lookup, price, rpc] = &spans[..] else {
        unreachable!()
    };
    assert_eq!(
        [&lookup["name"], &price["name"], &rpc["name"]],
        ["lookup", "price", "kinds.Unary/Call"]
    );
    assert_eq!(rpc["kind"], "SpanKind.SERVER");
    assert_eq!(rpc["parent_id"], Value::Null);
    assert_eq!(price["parent_id"], rpc["context"]["span_id"]);
    assert_eq!(lookup["parent_id"], price["context"]["span_id"]);
    assert_eq!(lookup["context"]["trace_id"], rpc["context"]["trace_id"]);
    assert_eq!(rpc["status"], json!({"status_code": "UNSET"}));
    assert_eq!(rpc["attributes"]["rpc.status_code"], "OK");
    assert_eq!(rpc["attributes"]["server.port"], open.server.address.port());
    assert_eq!(rpc["resource"]["attributes"], json!({"service.name": "shop"}));
    assert_eq!(rpc["scope"]["name"], "otel-runtime");

    // The log records were written before the RPC ended. Other tests have added theirs.
    let logs: Vec<_> = LOGGED.text().lines().map(parse).collect();
    let logs: Vec<_> = logs
        .iter()
        .filter(|log| log["trace_id"] == rpc["context"]["trace_id"])
        .collect();
    let [log] = logs[..] else { panic!("{logs:?}") };
    assert_eq!(
        (&log["body"], &log["severity_text"], &log["attributes"]),
        (&json!("priced"), &json!("INFO"), &json!({"item": "tea"}))
    );
    assert_eq!(log["span_id"], rpc["context"]["span_id"]);
    assert_eq!(log["trace_flags"], 1);

    open.meters.shutdown().unwrap();
    let metrics: Vec<_> = open.metrics.lines(2).await.iter().map(|line| parse(line)).collect();
    let duration = metrics
        .iter()
        .find(|metric| metric["name"] == "rpc.server.call.duration")
        .unwrap();
    assert_eq!(
        (&duration["type"], &duration["unit"]),
        (&json!("histogram"), &json!("s"))
    );
    assert_eq!(duration["points"][0]["count"], 1);
    assert_eq!(duration["points"][0]["attributes"]["rpc.method"], "kinds.Unary/Call");
}

#[test]
fn exporters_write_to_stdout_by_default() {
    let output = in_own_process(|| {
        let tracers = SdkTracerProvider::builder()
            .with_batch_exporter(ConsoleSpanExporter::pretty())
            .with_batch_exporter(ConsoleSpanExporter::json())
            .build();
        tracers.tracer("shop").in_span("price", |_| {});
        tracers.shutdown().unwrap();
    });
    if let Some(ProcessOutput { stdout, .. }) = output {
        assert!(stdout.contains("\nprice  internal  "), "{stdout}");
        assert!(stdout.contains("{\"name\":\"price\","), "{stdout}");
        assert!(!stdout.contains('\x1b'), "{stdout}");
    }
}
