//! Runs the example programs as a user would, and checks their output and telemetry.

mod fleet;
mod layers;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use integration_tests::child;
use integration_tests::collector::Collector;
use integration_tests::http;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// A process of `shop_server` on a free port, which exports to a collector.
struct Shop {
    server: Child,
    port: String,
    stdout: Box<dyn BufRead>,
}

impl Shop {
    fn open(collector: &Collector) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_shop_server"))
            .env_clear()
            .envs([("PORT", "0"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url())])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (_, address) = line
            .trim_end()
            .split_once("open address=")
            .unwrap_or_else(|| panic!("{line}"));
        let (_, port) = address.rsplit_once(':').unwrap();
        Shop {
            port: port.to_owned(),
            stdout: Box::new(stdout),
            server,
        }
    }

    /// Stops the server with SIGTERM, as Kubernetes does, and returns its logs.
    fn close(mut self) -> String {
        let id = self.server.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let mut log = String::new();
        self.stdout.read_to_string(&mut log).unwrap();
        assert!(self.server.wait().unwrap().success(), "{log}");
        log
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Still running only if the test has failed.
        let _ = self.server.kill();
    }
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn is_child(child: &Span, parent: &Span) -> bool {
    child.trace_id == parent.trace_id && child.parent_span_id == parent.span_id
}

/// Runs the shop with one customer, and returns the collector that received their telemetry.
fn run_shop() -> Collector {
    let collector = Collector::start();
    let shop = Shop::open(&collector);
    let url = collector.url();
    let client = child::run(
        env!("CARGO_BIN_EXE_shop_client"),
        &[],
        [("PORT", &*shop.port), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url)],
    );
    assert!(client.success, "{client:?}");
    let expected = "6 apple: 3\n\
        1 unicorn: NotFound, no \"unicorn\" in stock\n\
        0 apple: InvalidArgument, an order of nothing\n\
        1 gold: FailedPrecondition, 2000 is more than 1000\n";
    assert_eq!(client.stdout, expected);
    let log = shop.close();
    assert!(log.contains("closed"), "{log}");
    // Four orders, two of which the cashier was asked about.
    assert_eq!(log.matches("incoming call").count(), 6, "{log}");
    collector
}

/// Returns the trace of the order that succeeded, the only one with a confirmation.
fn successful_trace(collector: &Collector) -> Vec<Span> {
    let mut spans = collector.spans();
    let [confirmation] = named(&spans, "send-confirmation")[..] else {
        panic!("{spans:#?}")
    };
    let trace_id = confirmation.trace_id.clone();
    spans.retain(|span| span.trace_id == trace_id);
    spans
}

fn of_kind<'s>(trace: &'s [Span], name: &str, kind: SpanKind) -> &'s Span {
    let found = trace.iter().find(|span| span.name == name && span.kind == kind as i32);
    found.unwrap_or_else(|| panic!("no {name} in {trace:#?}"))
}

#[test]
fn an_order_is_one_trace_through_the_customer_the_shop_and_the_cashier() {
    let collector = run_shop();
    let calls = named(&collector.spans(), "shop.Shop/PlaceOrder").len();
    assert_eq!(calls, 8, "a client's and a server's for each of four");

    let trace = successful_trace(&collector);
    let root = of_kind(&trace, "buy apple", SpanKind::Internal);
    let call = of_kind(&trace, "shop.Shop/PlaceOrder", SpanKind::Client);
    let order = of_kind(&trace, "shop.Shop/PlaceOrder", SpanKind::Server);
    let charge = of_kind(&trace, "shop.Payment/Charge", SpanKind::Client);
    let charged = of_kind(&trace, "shop.Payment/Charge", SpanKind::Server);
    assert!(is_child(call, root) && is_child(order, call) && is_child(charge, order) && is_child(charged, charge));
    let query = of_kind(&trace, "database-query", SpanKind::Client);
    let logic = of_kind(&trace, "process-business-logic", SpanKind::Internal);
    let confirmation = of_kind(&trace, "send-confirmation", SpanKind::Internal);
    assert!(is_child(query, order) && is_child(logic, order) && is_child(confirmation, order));
    assert_eq!(trace.len(), 8);

    let attribute = |key| {
        let attribute = order.attributes.iter().find(|attribute| attribute.key == key);
        attribute.and_then(|attribute| attribute.value.clone()?.value)
    };
    assert_eq!(attribute("order.item"), Some(Value::StringValue("apple".to_owned())));
    assert_eq!(attribute("order.quantity"), Some(Value::IntValue(6)));
    assert!(matches!(
        attribute("rpc.request.header.user-agent"),
        Some(Value::ArrayValue(_))
    ));
}

#[test]
fn an_error_is_recorded_as_an_exception_on_the_rpcs_span() {
    let spans = run_shop().spans();
    let is_exception = |span: &&Span| span.events.iter().any(|event| event.name == "exception");
    let [span] = spans.iter().filter(is_exception).collect::<Vec<_>>()[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(
        (&*span.name, span.kind),
        ("shop.Shop/PlaceOrder", SpanKind::Server as i32)
    );
}

#[test]
fn the_cashiers_log_record_has_its_span_and_the_baggage() {
    let collector = run_shop();
    let trace = successful_trace(&collector);
    let charged = of_kind(&trace, "shop.Payment/Charge", SpanKind::Server);
    let records = collector.log_records();
    let record = records.iter().find(|record| {
        let body = record.body.as_ref().and_then(|body| body.value.as_ref());
        record.span_id == charged.span_id && matches!(body, Some(Value::StringValue(text)) if text == "charging")
    });
    let attributes = &record.unwrap().attributes;
    let customer = attributes.iter().find(|attribute| attribute.key == "customer").unwrap();
    assert_eq!(
        customer.value.as_ref().unwrap().value,
        Some(Value::StringValue("ada".to_owned()))
    );
}

#[test]
fn shop_metrics_are_exported_with_the_rpc_metrics() {
    let metrics = run_shop().metrics();
    let metric = |name| {
        let found = metrics.iter().find(|metric| metric.name == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    };
    for name in [
        "shop.orders",
        "shop.order.value",
        "rpc.server.call.duration",
        "rpc.client.call.duration",
    ] {
        let _ = metric(name);
    }
    let Some(Data::Sum(in_progress)) = &metric("shop.orders.in_progress").data else {
        panic!("no sum")
    };
    assert!(!in_progress.is_monotonic);
    let now = in_progress.data_points[0].value;
    assert_eq!(now, Some(number_data_point::Value::AsInt(0)), "nothing is left over");
}

#[test]
fn background_task_propagates_the_trace_to_three_of_four_tasks() {
    let ended = child::run(env!("CARGO_BIN_EXE_background_task"), &[], []);
    assert!(ended.success, "{ended:?}");
    let traces: Vec<&str> = ended.stdout.split("\ntrace ").skip(1).collect();
    let [of_rpc, alone] = traces[..] else {
        panic!("{}", ended.stdout)
    };
    assert_eq!(of_rpc.matches("compress ").count(), 2, "{of_rpc}");
    assert_eq!(of_rpc.matches("write_report ").count(), 1, "{of_rpc}");
    assert!(of_rpc.contains("helloworld.Greeter/SayHello"));
    assert_eq!(alone.matches("write_report ").count(), 1, "{alone}");
    assert!(!alone.contains("helloworld.Greeter/SayHello"));
}

#[test]
fn google_cloud_continues_the_load_balancers_trace() {
    let ended = child::run(env!("CARGO_BIN_EXE_google_cloud"), &[], []);
    assert!(ended.success, "{ended:?}");
    let out = &ended.stdout;
    let trace = "105445aa7843bc8bf206b12000100000";
    assert!(
        out.contains(&format!("outgoing calls carry x-cloud-trace-context: {trace}/")),
        "{out}"
    );
    assert!(out.contains(&format!("You are in trace {trace}.")), "{out}");
    assert!(
        out.contains(&format!("trace 1 {trace}\n(remote parent 0000000000000001)")),
        "{out}"
    );
}

#[test]
fn the_route_guide_prints_the_address_of_pages_that_show_its_rpcs() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_route_guide"))
        .env_clear()
        .arg("--stay")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let first = lines.next().unwrap();
    let url = first.strip_prefix("In a browser: ").unwrap();
    let last = lines.find(|line| line.starts_with("A RouteChat is open now."));
    assert!(last.unwrap().ends_with(url));
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let (_, json) = http::get(address.parse().unwrap(), "/debug/tracez.json");
    let pages: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rows = pages["spans"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["is_rpc"] == true && row["kind"] == "server");
    let seen: Vec<String> = rows
        .map(|row| format!("{} {} {}", row["name"], row["running"], row["failures"]))
        .collect();
    let expected = [
        r#""geocoder.Geocoder/Lookup" 0 {"CANCELLED":2,"NOT_FOUND":2}"#,
        r#""grpc" 0 {"UNIMPLEMENTED":1}"#,
        r#""routeguide.RouteGuide/GetFeature" 0 {"DEADLINE_EXCEEDED":1,"INTERNAL":1,"NOT_FOUND":1}"#,
        r#""routeguide.RouteGuide/ListFeatures" 0 {"CANCELLED":1,"INTERNAL":1}"#,
        r#""routeguide.RouteGuide/RecordRoute" 0 {}"#,
        r#""routeguide.RouteGuide/RouteChat" 1 {}"#,
    ];
    assert_eq!(seen, expected);
    let id = program.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(program.wait().unwrap().success());
}
