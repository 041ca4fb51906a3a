//! Exports through the proxy of `HTTP_PROXY`, and with the user and password of the endpoint's URL.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::Collector;
use integration_tests::http_proxy::HttpProxy;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");
const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// Exports one span. Returns the answer to `shutdown` and the log.
fn run(variables: &[(&str, &str)]) -> (String, Vec<String>) {
    run_until(variables, "shutdown 5000")
}

/// Like [`run`], with this command at the end. An export is tried again until its limit.
fn run_until(variables: &[(&str, &str)], shutdown: &str) -> (String, Vec<String>) {
    let others = [
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("RUST_LOG", "trace"),
    ];
    let variables = others.iter().chain(variables).copied();
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["bare"], variables);
    assert_eq!(ready, "ready");
    driven.send("spans 1");
    let answer = driven.send(shutdown);
    (answer, driven.end())
}

#[test]
fn exports_pass_through_the_proxy() {
    for (protocol, expected) in [
        ("grpc", "CONNECT collector.test:80 HTTP/1.1\r\n"),
        ("http/protobuf", "POST http://collector.test/v1/traces HTTP/1.1\r\n"),
    ] {
        let collector = Collector::start();
        let proxy = HttpProxy::start(collector.address);
        let url = format!("http://ada:s%20ecret@{}", proxy.address);
        let (answer, log) = run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.test"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("HTTP_PROXY", &url),
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ]);
        assert!(answer.starts_with("ok "), "{answer}");
        assert_eq!(collector.spans().len(), 1);
        let [head] = &proxy.heads()[..] else {
            panic!("{:?}", proxy.heads())
        };
        assert!(head.starts_with(expected), "{head}");
        let authorization = "proxy-authorization: basic ywrhonmgzwnyzxq=\r\n";
        assert!(head.to_lowercase().contains(authorization), "{head}");
        assert!(
            !log.iter()
                .any(|line| line.contains("ecret") || line.contains("YWRhOnMgZWNyZXQ")),
            "{log:#?}"
        );
    }
}

#[test]
fn excluded_hosts_and_this_host_are_reached_directly() {
    for (protocol, excluded) in PROTOCOLS.iter().flat_map(|protocol| [(protocol, ""), (protocol, "*")]) {
        let collector = Collector::start();
        let (answer, _) = run(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("ALL_PROXY", "http://127.0.0.1:1"),
            ("NO_PROXY", excluded),
        ]);
        assert!(answer.starts_with("ok "), "{answer}");
        assert_eq!(collector.spans().len(), 1);
    }
}

#[test]
fn failure_names_the_proxy() {
    for protocol in PROTOCOLS {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.test:4317"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "300"),
            ("HTTP_PROXY", "http://ada:secret@127.0.0.1:1"),
        ];
        let (answer, log) = run_until(&variables, "shutdown 500");
        assert!(
            answer.contains("cannot connect through the proxy http://127.0.0.1:1"),
            "{answer}"
        );
        assert!(
            !answer.contains("secret") && !log.iter().any(|line| line.contains("secret")),
            "{log:#?}"
        );
    }
}

#[test]
fn user_and_password_of_the_endpoint_are_sent() {
    for (protocol, headers, expected) in PROTOCOLS.iter().flat_map(|protocol| {
        [
            (protocol, "", "Basic YWRhOnMgZWNyZXQ="),
            (protocol, "authorization=Bearer%20x", "Bearer x"),
        ]
    }) {
        let collector = Collector::start();
        let (answer, log) = run(&[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                &format!("http://ada:s%20ecret@{}", collector.address),
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_HEADERS", headers),
        ]);
        assert!(answer.starts_with("ok "), "{answer}");
        let received = collector.received();
        assert_eq!(received[0].header("authorization"), Some(expected));
        assert!(
            !log.iter()
                .any(|line| line.contains("ecret") || line.contains("YWRhOnMgZWNyZXQ")),
            "{log:#?}"
        );
    }
}
