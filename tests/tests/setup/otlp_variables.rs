//! Tests of each variable `OTEL_EXPORTER_OTLP_*` with an OTLP receiver.
//!
//! Variants for single signals and empty or invalid values are covered, too.

use std::time::Instant;

use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, Content, Received};
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// Returns the log of a program that records one item of each signal and ends.
fn run(variables: &[(&str, &str)]) -> Vec<String> {
    run_with(&[], variables)
}

/// Like [`run`], with settings in code.
fn run_with(said: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let arguments = [&["bare"], said].concat();
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &arguments, variables.iter().copied());
    assert_eq!(ready, "ready");
    for line in ["spans 1", "logs 1", "counters 1"] {
        driven.send(line);
    }
    let answer = driven.send("shutdown 20000");
    assert!(answer.starts_with("ok "), "{answer}");
    driven.end()
}

/// Returns the error of a program that does not start.
fn refused(variables: &[(&str, &str)]) -> String {
    let (driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables.iter().copied());
    drop(driven.end());
    ready
}

fn warnings(log: &[String]) -> Vec<&str> {
    let warnings = log.iter().filter(|line| line.contains(" WARN "));
    warnings.map(|line| line.split_once("otel_setup").unwrap().1).collect()
}

fn paths(collector: &Collector) -> Vec<String> {
    let mut paths: Vec<String> = collector.received().into_iter().map(|received| received.path).collect();
    paths.sort();
    paths
}

fn of(collector: &Collector, is: fn(&Content) -> bool) -> Received {
    let received = collector.received().into_iter().find(|received| is(&received.content));
    received.unwrap()
}

fn traces(collector: &Collector) -> Received {
    of(collector, |content| matches!(content, Content::Traces(_)))
}

fn logs(collector: &Collector) -> Received {
    of(collector, |content| matches!(content, Content::Logs(_)))
}

#[test]
fn protocol() {
    let http = ["/v1/logs", "/v1/metrics", "/v1/traces"];
    let grpc = [LOGS, METRICS, TRACES];
    for (value, expected) in [
        ("grpc", grpc),
        ("", grpc),
        ("GRPC", grpc),
        ("http/protobuf", http),
        ("HTTP/Protobuf", http),
    ] {
        let collector = Collector::start();
        let url = collector.url();
        let log = run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", value),
        ]);
        assert_eq!(paths(&collector), expected, "{value:?}");
        assert_eq!(warnings(&log), [""; 0]);
    }
}

#[test]
fn protocol_of_a_signal() {
    let collector = Collector::start();
    let url = collector.url();
    run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", ""),
    ]);
    assert_eq!(paths(&collector), [TRACES, "/v1/logs", "/v1/metrics"]);
}

#[test]
fn unknown_protocol() {
    let collector = Collector::start();
    let url = collector.url();
    let log = run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "smtp"),
    ]);
    assert_eq!(paths(&collector), ["/v1/logs", "/v1/metrics", "/v1/traces"]);
    let [general, own] = &warnings(&log)[..] else {
        panic!("{log:#?}")
    };
    let expected = r#"OTEL_EXPORTER_OTLP_PROTOCOL="http/json" is not supported; using http/protobuf"#;
    assert!(general.ends_with(expected), "{general}");
    let expected = "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=\"smtp\" is not one of grpc, http/protobuf; \
                    using OTEL_EXPORTER_OTLP_PROTOCOL, or grpc by default";
    assert!(own.ends_with(expected), "{own}");
}

#[test]
fn endpoint() {
    for (value, expected) in [
        ("http://ADDRESS", ["/v1/logs", "/v1/metrics", "/v1/traces"]),
        ("http://ADDRESS/", ["/v1/logs", "/v1/metrics", "/v1/traces"]),
        (
            "http://ADDRESS/mine",
            ["/mine/v1/logs", "/mine/v1/metrics", "/mine/v1/traces"],
        ),
        (
            "http://ADDRESS/otlp?tenant=a/",
            [
                "/otlp/v1/logs?tenant=a/",
                "/otlp/v1/metrics?tenant=a/",
                "/otlp/v1/traces?tenant=a/",
            ],
        ),
        (
            " http://ADDRESS/mine/ ",
            ["/mine/v1/logs", "/mine/v1/metrics", "/mine/v1/traces"],
        ),
    ] {
        let collector = Collector::start();
        let url = value.replace("ADDRESS", &collector.address.to_string());
        run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ]);
        assert_eq!(paths(&collector), expected, "{value:?}");
    }
}

#[test]
fn endpoint_of_a_signal() {
    let (general, own) = (Collector::start(), Collector::start());
    run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &general.url()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            &format!("{}/own/traces", own.url()),
        ),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", ""),
    ]);
    assert_eq!(paths(&general), ["/v1/logs", "/v1/metrics"]);
    assert_eq!(paths(&own), ["/own/traces"], "as it stands");
}

#[test]
fn invalid_endpoint() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a b"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "ftp://collector:4317"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://collector:port"),
    ] {
        let expected = format!("{name}={value:?} is not a valid URL; expected e.g. http://localhost:4317");
        assert_eq!(refused(&[(name, value)]), expected);
    }
}

/// A character of the password that should be escaped makes the URL invalid. The message shows
/// nothing of the password.
#[test]
fn password_of_an_invalid_endpoint() {
    for separator in ["/", "?", "#"] {
        let message = refused(&[(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            &format!("http://ada:se{separator}cret@localhost:4317"),
        )]);
        let shown = "OTEL_EXPORTER_OTLP_ENDPOINT=\"http://…@localhost:4317\" ";
        assert!(message.starts_with(shown), "{message}");
    }
}

#[test]
fn fragment_of_an_endpoint() {
    assert_eq!(
        refused(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ada:secret@localhost:4317/#x")]),
        "OTEL_EXPORTER_OTLP_ENDPOINT=\"http://…@localhost:4317/#x\" has a fragment, which is never sent; remove it, or \
         write %23"
    );
}

#[test]
fn headers() {
    for protocol in ["grpc", "http/protobuf"] {
        println!("{protocol}");
        let collector = Collector::start();
        let log = run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "api-key=a%20b, X-Tenant = 7 ,secret,,content-type=text/plain,content-encoding=br,te=x",
            ),
            ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "own=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", ""),
        ]);
        let messages = collector.received();
        assert_eq!(messages.len(), 3);
        for received in messages {
            let header = |name| received.header(name);
            assert!(header("user-agent").unwrap().starts_with("OTel-OTLP-Exporter-Rust/"));
            let expected = match received.content {
                Content::Logs(_) => (None, None, Some("1")),
                _ => (Some("a b"), Some("7"), None),
            };
            assert_eq!((header("api-key"), header("x-tenant"), header("own")), expected);
            // The exporter sets these headers itself.
            for (name, wrong) in [("content-type", "text/plain"), ("content-encoding", "br"), ("te", "x")] {
                assert_ne!(header(name), Some(wrong));
            }
            let values = received.headers.get_all("api-key").iter().count();
            assert!(values <= 1, "the exporter does not add its own reading of them");
        }
        let expected = "OTEL_EXPORTER_OTLP_HEADERS=\"…\" has an invalid or reserved header as entry 3; ignoring it";
        let warnings = warnings(&log);
        assert!(warnings.len() == 4 && warnings[0].ends_with(expected), "{warnings:?}");
        assert!(!log.iter().any(|line| line.contains("secret")), "it may be one");
    }
}

#[test]
fn timeout() {
    for (general, own, expected) in [("200", "", true), ("60000", "200", true), ("60000", "", false)] {
        let collector = Collector::start();
        collector.behave(Behaviour::Hang);
        let url = collector.url();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*url),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", general),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", own),
        ];
        let (mut driven, _) = DrivenProcess::start(DRIVEN, &["bare"], variables);
        driven.send("spans 1");
        let begun = Instant::now();
        let answer = driven.send("flush 3000");
        assert!(begun.elapsed().as_millis() >= 190, "{answer}");
        assert_eq!(
            answer.contains(&format!(
                "traces: 1 span was not confirmed by {url}: no response within 200ms"
            )),
            expected,
            "{answer}"
        );
    }
}

#[test]
fn invalid_timeout() {
    let collector = Collector::start();
    let log = run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
    ]);
    let warnings = warnings(&log);
    let general = "OTEL_EXPORTER_OTLP_TIMEOUT=\"soon\" is not a valid number; using 10000";
    let own = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=\"0\" is not greater than 0; using OTEL_EXPORTER_OTLP_TIMEOUT, or 10000 by default";
    assert!(
        warnings.len() == 2 && warnings[0].ends_with(own) && warnings[1].ends_with(general),
        "{warnings:?}"
    );
}

#[test]
fn compression() {
    for (protocol, header) in [("grpc", "grpc-encoding"), ("http/protobuf", "content-encoding")] {
        for (general, own, of_traces, of_logs, told) in [
            ("", "", None, None, 0),
            ("gzip", "", Some("gzip"), Some("gzip"), 0),
            ("GZIP", "none", None, Some("gzip"), 0),
            ("none", "gzip", Some("gzip"), None, 0),
            ("zip", "", None, None, 1),
            ("gzip", "zip", Some("gzip"), Some("gzip"), 1),
        ] {
            let collector = Collector::start();
            let log = run(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", general),
                ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", own),
            ]);
            let of = |received: Received| {
                received
                    .header(header)
                    .filter(|value| *value != "identity")
                    .map(str::to_owned)
            };
            let found = (of(traces(&collector)), of(logs(&collector)));
            let expected = (of_traces.map(str::to_owned), of_logs.map(str::to_owned));
            assert_eq!(found, expected, "{protocol} {general:?} {own:?}");
            let warnings = warnings(&log);
            assert_eq!(warnings.len(), told, "{warnings:?}");
            assert!(
                warnings
                    .iter()
                    .all(|warning| warning.contains("\"zip\" is not one of gzip, none; using ")),
                "{warnings:?}"
            );
        }
    }
}

#[test]
fn insecure() {
    let collector = Collector::start();
    let address = collector.address.to_string();
    run(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &address),
        ("OTEL_EXPORTER_OTLP_INSECURE", "True"),
    ]);
    assert_eq!(paths(&collector), [LOGS, METRICS, TRACES]);

    // The default is TLS, which this receiver does not support. The signal's variable wins.
    let collector = Collector::start();
    let address = collector.address.to_string();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*address),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
        ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "true"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
    ];
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    assert_eq!(ready, "ready");
    for line in ["spans 1", "logs 1"] {
        driven.send(line);
    }
    let answer = driven.send("shutdown 10000");
    assert!(
        answer.contains(&format!("log records were not delivered to https://{address} (")),
        "{answer}"
    );
    assert_eq!(paths(&collector), [TRACES]);
    let log = driven.end();
    let expected = "OTEL_EXPORTER_OTLP_INSECURE=\"yes\" is neither \"true\" nor \"false\"; using false";
    assert!(log.iter().any(|line| line.ends_with(expected)), "{log:#?}");
}

#[test]
fn temporality_preference() {
    for (value, expected, told) in [
        ("", AggregationTemporality::Cumulative, 0),
        ("cumulative", AggregationTemporality::Cumulative, 0),
        ("Delta", AggregationTemporality::Delta, 0),
        ("LOWMEMORY", AggregationTemporality::Delta, 0),
        ("weekly", AggregationTemporality::Cumulative, 1),
    ] {
        let collector = Collector::start();
        let log = run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", value),
        ]);
        let metrics = collector.metrics();
        let counter = metrics.iter().find(|metric| metric.name == "made.0").unwrap();
        let Some(Data::Sum(sum)) = &counter.data else {
            panic!("{counter:?}")
        };
        assert_eq!(sum.aggregation_temporality(), expected, "{value:?}");
        assert_eq!(warnings(&log).len(), told, "{log:#?}");
    }
}

#[test]
fn settings_in_code_win() {
    for (protocol, paths_of_protocol) in [
        ("grpc", [LOGS, METRICS, TRACES]),
        ("http", ["/v1/logs", "/v1/metrics", "/v1/traces"]),
    ] {
        let (by_program, by_environment) = (Collector::start(), Collector::start());
        run_with(
            &[
                &format!("endpoint={}", by_program.url()),
                &format!("protocol={protocol}"),
                "header=both:program",
            ],
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &by_environment.url()),
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &by_environment.url()),
                (
                    "OTEL_EXPORTER_OTLP_PROTOCOL",
                    if protocol == "grpc" { "http/protobuf" } else { "grpc" },
                ),
                ("OTEL_EXPORTER_OTLP_HEADERS", "both=environment,one=environment"),
            ],
        );
        assert_eq!(paths(&by_environment), [""; 0]);
        assert_eq!(paths(&by_program), paths_of_protocol);
        for received in by_program.received() {
            assert_eq!(received.header("both"), Some("program"));
            assert_eq!(received.header("one"), Some("environment"));
        }
    }
}
