//! Who reaches the zPages: addresses, hosts, methods, and headers.

use std::io::{Read, Write};
use std::iter::repeat_n;
use std::net::{SocketAddr, TcpListener, TcpStream};

use integration_tests::child;
use integration_tests::http;
use integration_tests::own_process::{in_own_process, in_own_process_with};
use otel_setup::Exporter;

use crate::zpages::Pages;

/// Returns the status line of a request with this header `Host`.
pub(crate) fn status_at(address: SocketAddr, request: &str, host: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "{request} HTTP/1.0\r\n{host}\r\n").unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn only_requests_for_this_host_are_answered() {
    in_own_process(|| {
        let pages = Pages::with(|setup| setup.zpages_allowed_host("pod.example"));
        for path in [
            "/debug/tracez",
            "/debug/tracez.json",
            "/debug/rpcz",
            "/debug/tracez?row=0&show=running",
        ] {
            for (host, expected) in [
                ("Host: localhost:9465\r\n", "HTTP/1.0 200 OK"),
                ("Host: 127.0.0.1\r\n", "HTTP/1.0 200 OK"),
                ("Host: [::1]:80\r\n", "HTTP/1.0 200 OK"),
                ("Host: pod.example\r\n", "HTTP/1.0 200 OK"),
                ("Host: evil.example\r\n", "HTTP/1.0 403 Forbidden"),
                ("Host: localhost.evil.example\r\n", "HTTP/1.0 403 Forbidden"),
                ("Host: localhost\r\nHost: evil.example\r\n", "HTTP/1.0 403 Forbidden"),
                ("", "HTTP/1.0 403 Forbidden"),
            ] {
                assert_eq!(
                    status_at(pages.address, &format!("GET {path}"), host),
                    expected,
                    "{path} {host}"
                );
            }
        }
        let absolute = "GET http://evil.example/debug/tracez";
        assert_eq!(
            status_at(pages.address, absolute, "Host: localhost\r\n"),
            "HTTP/1.0 403 Forbidden"
        );
    });
}

#[test]
fn pages_allow_no_script_no_frame_and_no_change() {
    in_own_process(|| {
        let pages = Pages::start();
        for path in ["/debug/tracez", "/debug/tracez.json", "/debug/rpcz"] {
            let (head, _) = http::get(pages.address, path);
            for header in [
                "content-security-policy: default-src 'none'; style-src 'sha256-",
                "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
                "x-content-type-options: nosniff",
                "referrer-policy: no-referrer",
                "cache-control: no-store",
                "cross-origin-resource-policy: same-origin",
            ] {
                assert!(head.contains(header), "{path}: {header} is not in {head}");
            }
            for absent in [
                "set-cookie",
                "access-control-allow-origin",
                "unsafe-inline",
                "script-src",
            ] {
                assert!(!head.contains(absent), "{path}: {absent} is in {head}");
            }
            for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
                let (head, _) = http::send(pages.address, &format!("{method} {path}"));
                assert!(head.starts_with("HTTP/1.0 405 Method Not Allowed"), "{head}");
                assert!(head.contains("allow: GET, HEAD"), "{head}");
            }
        }
        let (head, body) = http::send_with(pages.address, "GET /debug/tracez", "Accept-Encoding: gzip\r\n");
        assert!(
            head.contains("content-encoding: gzip") && body.starts_with(&[0x1f, 0x8b]),
            "{head}"
        );
        let (head, body) = http::get(pages.address, "/metrics");
        assert!(head.starts_with("HTTP/1.0 404 Not Found"), "{head}");
        assert!(body.contains("/debug/tracez"), "{body}");
        for request in [
            "GET /",
            "GET /metrics",
            "POST /debug/rpcz",
            "GET /debug/tracez?row=99&show=running",
        ] {
            let (head, _) = http::send(pages.address, request);
            assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
            assert_eq!(head.matches("x-content-type-options: nosniff").count(), 1, "{head}");
        }
        // All of it is read. If bytes were left, the connection would be reset, and the answer
        // might be lost.
        let mut endless = "GET /debug/tracez HTTP/1.0\r\nX-Long: ".to_owned();
        endless.extend(repeat_n('a', 32 * 1024 - endless.len()));
        let (head, _) = http::exchange(pages.address, &endless);
        assert!(head.contains(" 431 Request Header Fields Too Large"), "{head}");
    });
}

#[test]
fn one_server_has_the_pages_and_the_scrape_endpoint_at_one_address() {
    for shared in ["true", "false"] {
        in_own_process_with(&[("SHARED", shared)], || {
            // The ports are free once the listeners are dropped.
            let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            let [prometheus, other] = listeners.map(|listener| listener.local_addr().unwrap());
            let is_shared = shared == "true";
            let zpages = if is_shared { prometheus } else { other };
            let telemetry = otel_setup::builder()
                .trace_exporters([])
                .metric_exporters([Exporter::Prometheus])
                .log_exporters([])
                .prometheus_address(prometheus)
                .zpages_address(zpages)
                .init()
                .unwrap();
            assert_eq!(telemetry.zpages_address(), Some(zpages));
            assert_eq!(telemetry.prometheus_address(), Some(prometheus));
            let is_ok = |address, path: &str, host: &str| {
                let (head, _) = http::send_with(address, &format!("GET {path}"), host);
                head.starts_with("HTTP/1.0 200 OK")
            };
            assert!(is_ok(zpages, "/debug/tracez", ""));
            assert!(is_ok(prometheus, "/metrics", ""));
            assert_eq!(is_ok(zpages, "/metrics", ""), is_shared);
            assert_eq!(is_ok(prometheus, "/debug/rpcz", ""), is_shared);
            let (_, index) = http::get(prometheus, "/");
            assert!(index.contains("href=\"/metrics\""), "{index}");
            assert_eq!(index.contains("href=\"/debug/tracez\""), is_shared, "{index}");
            // A scraper may use any name for the host.
            let host = "Host: greeter.example\r\n";
            assert_eq!(status_at(prometheus, "GET /metrics", host), "HTTP/1.0 200 OK");
            assert_eq!(status_at(zpages, "GET /debug/tracez", host), "HTTP/1.0 403 Forbidden");
        });
    }
}

/// Runs a service with this address, and returns whether it started, its log, and its errors.
fn service(address: &str) -> (bool, String, String) {
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_RUST_ZPAGES_ADDRESS", address),
    ];
    let output = child::run(env!("CARGO_BIN_EXE_service"), &[], variables);
    (output.success, output.stdout, output.stderr)
}

#[test]
fn the_log_tells_a_chosen_port_and_an_address_that_others_reach() {
    let (success, log, _) = service("127.0.0.1:0");
    assert!(success, "{log}");
    assert!(
        log.contains("INFO otel_setup: the zPages are at http://127.0.0.1:"),
        "{log}"
    );
    assert!(!log.contains("WARN"), "{log}");
    let (success, log, _) = service("0.0.0.0:0");
    assert!(success, "{log}");
    let expected = "WARN otel_setup: OTEL_RUST_ZPAGES_ADDRESS=\"0.0.0.0:0\" is not a loopback address: everyone who \
                    reaches it can read attributes of spans and log lines";
    assert!(log.contains(expected), "{log}");
    let (success, log, _) = service("[::ffff:127.0.0.1]:0");
    assert!(success && !log.contains("WARN"), "{log}");
    let (success, log, _) = service("");
    assert!(success && !log.contains("zPages"), "{log}");
}

#[test]
fn an_unusable_address_is_an_error() {
    let (success, _, error) = service("9465");
    assert!(!success);
    let expected = "init: OTEL_RUST_ZPAGES_ADDRESS=\"9465\" is not an address; write host and port, such as \
                    localhost:9465";
    assert_eq!(error.trim_end(), expected);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (success, _, error) = service(&address);
    assert!(!success);
    let expected = format!("init: cannot listen for the zPages at OTEL_RUST_ZPAGES_ADDRESS=\"{address}\": ");
    assert!(error.starts_with(&expected), "{error}");
    assert!(
        error.contains("; set OTEL_RUST_ZPAGES_ADDRESS to another port, or to 0"),
        "{error}"
    );
}

#[test]
fn there_are_no_pages_unless_they_are_asked_for() {
    in_own_process(|| {
        let setup = otel_setup::builder().trace_exporters([]).log_exporters([]);
        let setup = setup
            .metric_exporters([Exporter::Prometheus])
            .prometheus_address("127.0.0.1:0".parse().unwrap());
        let telemetry = setup.init().unwrap();
        assert_eq!(telemetry.zpages_address(), None);
        let (head, body) = http::get(telemetry.prometheus_address().unwrap(), "/debug/tracez");
        assert!(head.starts_with("HTTP/1.0 404 Not Found"), "{head}");
        assert_eq!(body, "not found; there are:\n/metrics metrics for Prometheus\n");
    });
}
