//! Our client, and a server in another language, traced by OpenTelemetry's own instrumentation: one trace, whose ends fit.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use examples::routeguide::route_guide_client::RouteGuideClient;
use examples::routeguide::{Point, Rectangle};
use opentelemetry::trace::SpanKind;
use otel_runtime::TracedChannel;
use serde_json::{Value, json};
use tests::python;
use tests::telemetry::{Telemetry, attributes};
use tonic::Code;
use tonic::transport::Endpoint;

/// A server that stops when its standard input ends.
struct Server {
    process: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(interpreter: &Path) -> Self {
        let mut command = python::program(interpreter, "server.py");
        let mut process = command
            .arg(python::PROTO)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut address = String::new();
        stdout.read_line(&mut address).unwrap();
        Server {
            process,
            stdout,
            address: address.trim().to_owned(),
        }
    }

    /// What it tells of its spans.
    fn stop(mut self) -> Vec<Value> {
        drop(self.process.stdin.take());
        let mut spans = String::new();
        self.stdout.read_to_string(&mut spans).unwrap();
        assert!(self.process.wait().unwrap().success());
        spans.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_and_a_python_server_make_one_trace() {
    let python = python::interpreter(env!("CARGO_TARGET_TMPDIR"));
    let telemetry = Telemetry::start();
    let server = Server::start(&python);
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut guide = RouteGuideClient::new(TracedChannel::connect(endpoint).await.unwrap());

    let here = Point {
        latitude: 1,
        longitude: 2,
    };
    assert_eq!(guide.get_feature(here).await.unwrap().into_inner().name, "here");
    let area = Rectangle {
        lo: Some(here),
        hi: Some(here),
    };
    let mut features = guide.list_features(area).await.unwrap().into_inner();
    let mut names = Vec::new();
    while let Some(feature) = features.message().await.unwrap() {
        names.push(feature.name);
    }
    assert_eq!(names, ["south", "north"]);
    let status = guide.get_feature(Point::default()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "nothing to see here")
    );

    let spans = telemetry.spans(3).await;
    let answers = server.stop();
    assert_eq!(answers.len(), 3, "{answers:?}");
    for (span, (method, code)) in spans.iter().zip([
        ("routeguide.RouteGuide/GetFeature", "OK"),
        ("routeguide.RouteGuide/ListFeatures", "OK"),
        ("routeguide.RouteGuide/GetFeature", "NOT_FOUND"),
    ]) {
        assert_eq!((&*span.name, &span.span_kind), (method, &SpanKind::Client));
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
        // The server's span is the one below it.
        let below = answers.iter().filter(|answer| {
            answer["trace_id"] == json!(span.span_context.trace_id().to_string())
                && answer["parent"] == json!(span.span_context.span_id().to_string())
        });
        let kinds: Vec<_> = below.map(|answer| &answer["kind"]).collect();
        assert_eq!(kinds, [&json!("SERVER")], "{span:?}: {answers:?}");
    }
}
