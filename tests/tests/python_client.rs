//! A client in another language, traced by OpenTelemetry's own instrumentation, and our server: one trace, whose ends fit.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, process};

use examples::servers::Servers;
use opentelemetry::trace::{SpanId, SpanKind, TraceId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Value, json};
use tests::telemetry::{Telemetry, attributes};
use tokio::task::spawn_blocking;

const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/proto");

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_and_our_server_make_one_trace() {
    let python = python();
    let telemetry = Telemetry::start();
    let servers = Servers::start().await.unwrap();
    let address = servers.route_guide().to_string();
    let calls = spawn_blocking(move || run_client(&python, &address)).await.unwrap();
    servers.stop().await.unwrap();

    let south = [
        "Shore Road, Belmar",
        "Bridge Street, Stockton",
        "Patriots Path, Mendham",
    ];
    assert_eq!(calls.len(), 3, "{calls:?}");
    let [found, listed, missing] = [&calls[0], &calls[1], &calls[2]];
    assert_eq!((&found["got"], &found["code"]), (&json!([south[2]]), &json!("OK")));
    assert_eq!((&listed["got"], &listed["code"]), (&json!(south), &json!("OK")));
    assert_eq!(
        (&missing["got"], &missing["code"]),
        (&json!("nothing to see here"), &json!("NOT_FOUND"))
    );

    // Each of the three calls is searched for, and each of the four features is given its name, by a client's call of another server.
    let spans = telemetry.spans(3 + 3 + 4 + 4).await;
    assert_one_trace(&spans, found, "routeguide.RouteGuide/GetFeature", 1);
    assert_one_trace(&spans, listed, "routeguide.RouteGuide/ListFeatures", 3);
    assert_one_trace(&spans, missing, "routeguide.RouteGuide/GetFeature", 0);
}

/// The span of the Python client is the parent of exactly one span of ours, which is the parent of those of the route guide's own calls.
fn assert_one_trace(spans: &[SpanData], call: &Value, name: &str, lookups: usize) {
    assert_eq!(call["kind"], "CLIENT");
    let trace = TraceId::from_hex(call["trace_id"].as_str().unwrap()).unwrap();
    let client = SpanId::from_hex(call["span_id"].as_str().unwrap()).unwrap();

    let [server] = &children(spans, client)[..] else {
        panic!("{name} has not one span below {call}: {spans:#?}")
    };
    assert_eq!(server.name, name);
    assert!(server.parent_span_is_remote);
    assert_server_span(server, trace, call["code"].as_str().unwrap());

    let below = children(spans, server.span_context.span_id());
    assert!(below.iter().all(|span| !span.parent_span_is_remote));
    let (calls, own): (Vec<_>, Vec<_>) = below.into_iter().partition(|span| span.span_kind == SpanKind::Client);
    assert_eq!(calls.len(), lookups);
    for call in calls {
        assert_eq!(call.name, "geocoder.Geocoder/Lookup");
        let [answer] = &children(spans, call.span_context.span_id())[..] else {
            panic!("not one span below {call:?}: {spans:#?}")
        };
        assert_eq!(answer.name, call.name);
        assert!(answer.parent_span_is_remote);
        assert_server_span(answer, trace, "OK");
    }
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].name, "search-features");
    assert_eq!(own[0].span_context.trace_id(), trace);
}

fn assert_server_span(span: &SpanData, trace: TraceId, code: &str) {
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.span_context.trace_id(), trace);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
}

fn children(spans: &[SpanData], parent: SpanId) -> Vec<&SpanData> {
    spans.iter().filter(|span| span.parent_span_id == parent).collect()
}

/// What the client tells of each of its calls.
fn run_client(python: &Path, address: &str) -> Vec<Value> {
    let output = output_of(
        Command::new(python)
            .arg(format!("{PYTHON}/client.py"))
            .args([address, PROTO])
            // Neither a proxy nor the reader's own settings of OpenTelemetry are to have a say.
            .env_clear(),
    );
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The interpreter of a virtual environment that has what the client needs. It is made when it is missing, or made for other versions.
fn python() -> PathBuf {
    let requirements = format!("{PYTHON}/requirements.txt");
    let version = output_of(Command::new("python3").arg("--version"));
    let mut key = DefaultHasher::new();
    (fs::read(&requirements).unwrap(), version).hash(&mut key);
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{:016x}", key.finish()));

    if !venv.exists() {
        // It gets its name once it is complete, so one that an interrupted run left behind is never used.
        let unfinished = venv.with_extension(process::id().to_string());
        output_of(Command::new("python3").args(["-m", "venv"]).arg(&unfinished));
        output_of(
            Command::new(unfinished.join("bin/python"))
                .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"])
                .args(["--only-binary", ":all:", "--requirement", &requirements]),
        );
        let renamed = fs::rename(&unfinished, &venv);
        assert!(renamed.is_ok() || venv.exists(), "no {}: {renamed:?}", venv.display());
    }
    venv.join("bin/python")
}

/// What the command prints. This test needs Python 3 with its `venv` module, and a package index to install from: it fails where one is missing.
fn output_of(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot run {command:?}: {error}; this test needs Python 3"),
    };
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?} failed with {}:\n{stdout}\n{stderr}",
        output.status
    );
    stdout.into_owned()
}
