//! An answer that is not success is an error with the receiver's words, and a count.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response as HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use integration_tests::child::DrivenProcess;
use integration_tests::collector::{Behaviour, Collector, FORBIDDEN};
use integration_tests::own_process::block_on;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use rcgen::generate_simple_self_signed;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

use crate::config_file::file;

const DRIVEN: &str = env!("CARGO_BIN_EXE_driven");

/// Exports two spans, and returns the answers of the flush and of the shutdown, and the log.
fn export(endpoint: &str, protocol: &str, timeout: &str) -> (String, String, Vec<String>) {
    export_spans(2, endpoint, protocol, timeout)
}

fn export_spans(count: u32, endpoint: &str, protocol: &str, timeout: &str) -> (String, String, Vec<String>) {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", timeout),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("RUST_LOG", "warn"),
    ];
    let (mut driven, ready) = DrivenProcess::start(DRIVEN, &["multi_thread"], variables);
    assert_eq!(ready, "ready");
    driven.send(&format!("spans {count}"));
    let flushed = driven.send("flush 30000");
    let shut_down = driven.send("shutdown 20000");
    (flushed, shut_down, driven.end())
}

#[test]
fn refusals_have_the_receivers_words() {
    for (protocol, behaviour, reason) in [
        (
            "grpc",
            Behaviour::Forbid,
            format!("refused: PERMISSION_DENIED: {FORBIDDEN}"),
        ),
        (
            "http/protobuf",
            Behaviour::Forbid,
            format!("refused: 403 Forbidden: {FORBIDDEN}"),
        ),
        ("grpc", Behaviour::PartialSuccess(2), "rejected: too many".to_owned()),
        (
            "http/protobuf",
            Behaviour::PartialSuccess(2),
            "rejected: too many".to_owned(),
        ),
        (
            "http/protobuf",
            Behaviour::WebPage,
            "answered without OTLP: 200 OK with text/html: Sign in".to_owned(),
        ),
        (
            "grpc",
            Behaviour::WebPage,
            "refused: UNAUTHENTICATED: of the test".to_owned(),
        ),
    ] {
        println!("{protocol} {behaviour:?}");
        let collector = Collector::start();
        collector.behave(behaviour);
        let (flushed, shut_down, log) = export(&collector.url(), protocol, "10000");
        let path = if protocol == "grpc" { "" } else { "/v1/traces" };
        let url = format!("{}{path}", collector.url());
        assert!(flushed.contains("[2, 0, 0]"), "{flushed}");
        let expected = format!("traces: 2 spans were not delivered to {url}: {reason}");
        assert!(flushed.ends_with(&expected), "{flushed}");
        assert!(shut_down.contains("[2, 0, 0]"), "{shut_down}");
        let expected = format!("traces: 2 of 2 spans were not delivered to {url} (2 {reason})");
        assert!(shut_down.ends_with(&expected), "{shut_down}");
        let [line] = &log[..] else { panic!("{log:#?}") };
        let expected =
            format!("WARN otel_setup: 2 spans were not delivered to {url}: {reason} (logged at most once a minute)");
        assert!(line.ends_with(&expected), "{line}");
    }
}

/// A redirect is not followed. The message says where it leads to, without what may be secret.
#[test]
fn redirects_are_refused() {
    for (status, location, expected) in [
        (
            "307 Temporary Redirect",
            "https://ada:secret@other:4318/v1/traces?key=secret",
            "307 Temporary Redirect: it redirects to https://other:4318/v1/traces",
        ),
        (
            "301 Moved Permanently",
            "/login?key=secret",
            "301 Moved Permanently: it redirects to /login",
        ),
        ("302 Found", "not a URL", "302 Found: moved"),
        ("302 Found", "//ada:secret@other:4318/v1/traces", "302 Found: moved"),
        ("302 Found", "login", "302 Found: moved"),
    ] {
        let status: &str = Box::leak(format!("{status}\r\nLocation: {location}").into_boxed_str());
        let url = http_1_server(status, "moved");
        let (flushed, _, _) = export(&url, "http/protobuf", "10000");
        assert!(
            flushed.ends_with(&format!("/v1/traces: refused: {expected}")),
            "{flushed}"
        );
    }
}

/// Only the rejected part counts as lost.
#[test]
fn partial_success_is_counted() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start();
        collector.behave(Behaviour::PartialSuccess(1));
        let (_, shut_down, _) = export(&collector.url(), protocol, "10000");
        assert!(shut_down.contains("[1, 0, 0]"), "{shut_down}");
        assert!(shut_down.contains("1 of 2 spans was not delivered"), "{shut_down}");
    }
}

/// Without an answer, the data may have arrived.
#[test]
fn late_answers_leave_the_delivery_open() {
    for protocol in ["grpc", "http/protobuf"] {
        let collector = Collector::start();
        collector.behave(Behaviour::Slow(Duration::from_millis(600)));
        let (flushed, shut_down, log) = export(&collector.url(), protocol, "300");
        assert!(flushed.contains("2 spans were not confirmed by http://"), "{flushed}");
        assert!(flushed.ends_with(": no response within 300ms"), "{flushed}");
        assert!(
            shut_down.ends_with("(2 not confirmed: no response within 300ms)"),
            "{shut_down}"
        );
        assert_eq!(log.len(), 1, "{log:#?}");
        assert!(!log[0].contains("not delivered"), "{log:?}");
    }
}

/// Starts a server that speaks HTTP/1.1 only, and returns its URL.
fn http_1_server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n\r\n{body}");
            // A connection that is closed with unread bytes is reset, and the answer may be lost.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    url
}

/// Starts a server that speaks HTTP/1.1 only, and answers whatever it gets without closing the
/// connection. Returns its URL.
fn patient_http_1_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut streams = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            streams.push(stream);
        }
    });
    url
}

/// Starts a server that speaks HTTP/2 and has no gRPC service, and returns its URL.
fn http_2_server() -> String {
    serve(Router::new(), false)
}

/// Starts a server that answers each request with a web page, as nginx does when its upstream is
/// away, and returns its URL.
fn server_of_pages(status: StatusCode) -> String {
    let page = Html("<html><h1>nginx</h1></html>");
    serve(Router::new().fallback(move || async move { (status, page) }), false)
}

/// Starts a server, with HTTP/1.1 beside HTTP/2 if it accepts that, and returns its URL.
fn serve(router: Router, accept_http1: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        block_on(async {
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
            let mut server = Server::builder().accept_http1(accept_http1);
            let server = server.add_routes(Routes::from(router));
            server.serve_with_incoming(incoming).await
        })
    });
    url
}

fn tls_server() -> Collector {
    let certified = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(certified.cert.pem(), certified.signing_key.serialize_pem());
    Collector::start_with(ServerTlsConfig::new().identity(identity))
}

/// A port with another protocol is named, with the variable to change.
#[test]
fn port_of_another_protocol() {
    let (grpc, tls, both) = (Collector::start_grpc(), tls_server(), Collector::start());
    let use_http = "the port speaks HTTP/1.1, but gRPC needs HTTP/2; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, \
                    or OTEL_EXPORTER_OTLP_ENDPOINT to the port for gRPC, usually 4317 (";
    let use_grpc = "the port speaks HTTP/2, as gRPC does; set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or \
                    OTEL_EXPORTER_OTLP_ENDPOINT to the port for HTTP, usually 4318 (";
    let use_https = "the port speaks TLS; write https:// in OTEL_EXPORTER_OTLP_ENDPOINT (";
    let not_grpc = "the port speaks HTTP/2, but not gRPC; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or \
                    OTEL_EXPORTER_OTLP_ENDPOINT to the port for gRPC, usually 4317 (grpc-status header missing, \
                    mapped from HTTP status code 404)";
    let no_tls = "the port does not speak TLS; write http:// in OTEL_EXPORTER_OTLP_ENDPOINT (";
    for (protocol, url, failure, explanation) in [
        (
            "grpc",
            http_1_server("400 Bad Request", "400 Bad Request"),
            "unreachable",
            use_http,
        ),
        ("grpc", patient_http_1_server(), "unreachable", use_http),
        ("grpc", http_2_server(), "refused: UNIMPLEMENTED", not_grpc),
        ("http/protobuf", grpc.url(), "unreachable", use_grpc),
        ("grpc", tls.url(), "unreachable", use_https),
        ("http/protobuf", tls.url(), "unreachable", use_https),
        ("grpc", both.url().replace("http:", "https:"), "unreachable", no_tls),
        (
            "http/protobuf",
            both.url().replace("http:", "https:"),
            "unreachable",
            no_tls,
        ),
    ] {
        println!("{protocol} {url}");
        let (flushed, _, log) = export(&url, protocol, "10000");
        assert!(flushed.contains(&format!("{failure}: {explanation}")), "{flushed}");
        let took: u64 = flushed.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(took < 5000, "it is not tried again: {took} ms");
        assert_eq!(log.len(), 1, "{log:#?}");
    }
}

/// A proxy in front of a gRPC receiver may answer with a web page. Its status counts.
#[test]
fn web_pages_over_grpc_are_read_by_their_status() {
    for (status, is_retried, expected) in [
        (StatusCode::BAD_GATEWAY, true, "refused: 502 Bad Gateway: not gRPC"),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            true,
            "refused: 503 Service Unavailable: not gRPC",
        ),
        (StatusCode::FORBIDDEN, false, "refused: 403 Forbidden: not gRPC"),
        (StatusCode::OK, false, "answered without OTLP: 200 OK"),
        (
            StatusCode::NOT_FOUND,
            false,
            "refused: 404 Not Found: the port speaks HTTP/2, but not gRPC; set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        ),
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            false,
            "refused: 413 Payload Too Large: not gRPC",
        ),
    ] {
        let (flushed, _, _) = export(&server_of_pages(status), "grpc", "600");
        assert!(flushed.contains(expected), "{status}: {flushed}");
        assert_eq!(flushed.contains(" attempts"), is_retried, "{status}: {flushed}");
        // Each of the two spans is refused alone.
        let is_divided = status == StatusCode::PAYLOAD_TOO_LARGE;
        assert!(!is_divided || flushed.contains("traces: 2 spans"), "{flushed}");
    }
}

fn zipped(status: StatusCode, content_type: &'static str, body: &[u8]) -> HttpResponse {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    let headers = [("content-type", content_type), ("content-encoding", "gzip")];
    (status, headers, encoder.finish().unwrap()).into_response()
}

fn grpc(headers: &[(&'static str, &'static str)], body: &[u8]) -> HttpResponse {
    let headers = headers.iter().map(|(name, value)| {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        (name, value)
    });
    let mut response = body.to_vec().into_response();
    *response.headers_mut() = headers.collect();
    response
}

/// An answer may be compressed, have no message, or be too large to be read.
#[test]
fn unusual_answers_are_understood() {
    let rejection = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 1,
            error_message: "quota".to_owned(),
        }),
    };
    let large = [vec![0, 0, 0x50, 0, 0], vec![0; 5 << 20]].concat();
    let application = ("content-type", "application/grpc");
    for (protocol, answer, expected) in [
        (
            "http/protobuf",
            zipped(StatusCode::OK, "application/x-protobuf", &rejection.encode_to_vec()),
            ": 1 span was not delivered to {}/v1/traces: rejected: quota",
        ),
        (
            "http/protobuf",
            zipped(StatusCode::FORBIDDEN, "text/plain", b"no such tenant"),
            ": 2 spans were not delivered to {}/v1/traces: refused: 403 Forbidden: no such tenant",
        ),
        (
            "http/protobuf",
            zipped(StatusCode::OK, "application/x-protobuf", &vec![0; 10 << 20]),
            ": 2 spans were not delivered to {}/v1/traces: answered without OTLP: 200 OK with application/x-protobuf: ",
        ),
        ("grpc", grpc(&[application, ("grpc-status", "0")], b""), ""),
        // As of a proxy that has cut the answer, or of no receiver.
        (
            "grpc",
            grpc(&[application], b""),
            ": 2 spans were not delivered to {}: ",
        ),
        // The receiver has the spans: smaller requests would double them.
        (
            "grpc",
            grpc(&[application], &large),
            ": 2 spans were not delivered to {}: answered without OTLP: Error, decoded message length too large: ",
        ),
    ] {
        let requests = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&requests);
        let (parts, body) = answer.into_parts();
        let body = block_on(to_bytes(body, usize::MAX)).unwrap();
        let router = Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = HttpResponse::from_parts(parts.clone(), Body::from(body.clone()));
            async { answer }
        });
        let url = serve(router, protocol != "grpc");
        let (flushed, _, _) = export(&url, protocol, "10000");
        let expected = expected.replace("{}", &url);
        assert!(flushed.contains(&expected), "{flushed}");
        assert_eq!(flushed.starts_with("ok"), expected.is_empty(), "{flushed}");
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{flushed}");
    }
}

/// The parts of a divided request share the timeout, unless the receiver goes on to answer.
#[test]
fn a_divided_request_takes_one_timeout_without_an_answer() {
    let of = |status: StatusCode, pause| (status, Duration::from_millis(pause));
    for ((status, pause), expected, least, most) in [
        // Seven parts, of 32, 16, 8, 4, 2, 1 and 1 spans.
        (
            of(StatusCode::SERVICE_UNAVAILABLE, 0),
            ": 64 spans were not delivered to {}/v1/traces: refused: 503 Service Unavailable",
            1900,
            7000,
        ),
        (of(StatusCode::OK, 500), "ok ", 3500, 20_000),
    ] {
        let requests = Arc::<AtomicU32>::default();
        let router = Router::new().fallback(move || {
            let is_first = requests.fetch_add(1, Ordering::Relaxed) < 6;
            async move {
                if is_first {
                    return StatusCode::PAYLOAD_TOO_LARGE;
                }
                tokio::time::sleep(pause).await;
                status
            }
        });
        let url = serve(router, true);
        let (flushed, _, _) = export_spans(64, &url, "http/protobuf", "2000");
        assert!(flushed.contains(&expected.replace("{}", &url)), "{flushed}");
        let took: u64 = flushed.split(' ').nth(1).unwrap().parse().unwrap();
        assert!((least..most).contains(&took), "{flushed}");
    }
}

/// The receiver has accepted the request when it answers with success.
#[test]
fn success_that_breaks_off_is_not_sent_again() {
    let url = http_1_server(
        "200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 10",
        "ab",
    );
    let (flushed, _, _) = export(&url, "http/protobuf", "10000");
    let expected = format!(": 2 spans were not confirmed by {url}/v1/traces: ");
    assert!(flushed.contains(&expected), "{flushed}");
    assert!(!flushed.contains("attempts"), "{flushed}");
}

/// The number of attempts follows the reason, whether or not the receiver gives one.
#[test]
fn attempts_are_told_after_the_reason() {
    for (url, protocol, expected) in [
        (
            http_1_server("503 Service Unavailable", ""),
            "http/protobuf",
            "refused: 503 Service Unavailable, after ",
        ),
        (
            http_1_server("503 Service Unavailable", "Busy."),
            "http/protobuf",
            "refused: 503 Service Unavailable: Busy, after ",
        ),
        (
            server_of_pages(StatusCode::SERVICE_UNAVAILABLE),
            "grpc",
            "refused: 503 Service Unavailable: not gRPC, after ",
        ),
    ] {
        let (flushed, shut_down, _) = export(&url, protocol, "3000");
        for answer in [flushed, shut_down] {
            let (_, rest) = answer.split_once(expected).unwrap_or_else(|| panic!("{answer}"));
            let (number, rest) = rest.split_once(' ').unwrap();
            assert!(number.parse::<u32>().unwrap() > 1, "{answer}");
            assert_eq!(rest.trim_end_matches(')'), "attempts", "{answer}");
        }
    }
}

/// The message names the setting that is in force, wherever it was made.
#[test]
fn port_of_another_protocol_is_told_with_the_setting_in_force() {
    let grpc = Collector::start_grpc();
    let (grpc, http_1) = (grpc.url(), http_1_server("400 Bad Request", "400 Bad Request"));
    let (_directory, file) = file(&format!(
        "file_format: \"1.0\"\ntracer_provider: {{processors: [{{batch: {{exporter: {{otlp_http: {{endpoint: {grpc}}}}}}}}}]}}"
    ));
    let place = "tracer_provider.processors[0].batch.exporter.otlp_http";
    let in_code = [format!("endpoint={grpc}"), "protocol=http".to_owned()];
    let with_file = ["traces=otlp".to_owned(), format!("endpoint={http_1}")];
    for (arguments, variables, expected) in [
        (
            &[][..],
            [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &*http_1), ("X", "")],
            "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to the port for gRPC"
                .to_owned(),
        ),
        (
            &[],
            [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &grpc),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ],
            "set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc, or OTEL_EXPORTER_OTLP_ENDPOINT to the port for HTTP"
                .to_owned(),
        ),
        (
            &in_code,
            [("OTEL_EXPORTER_OTLP_ENDPOINT", &http_1), ("X", "")],
            "set `otlp_protocol` to Protocol::Grpc, or `otlp_endpoint` to the port for HTTP".to_owned(),
        ),
        (
            &[],
            [("OTEL_CONFIG_FILE", file.to_str().unwrap()), ("X", "")],
            format!("rename {place} to otlp_grpc, or set {place}.endpoint to the port for HTTP"),
        ),
        (
            &with_file,
            [("OTEL_CONFIG_FILE", file.to_str().unwrap()), ("X", "")],
            "set `otlp_protocol` to Protocol::HttpProtobuf, or `otlp_endpoint` to the port for gRPC".to_owned(),
        ),
    ] {
        let arguments: Vec<&str> = ["bare"]
            .into_iter()
            .chain(arguments.iter().map(String::as_str))
            .collect();
        let others = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];
        let (mut driven, ready) = DrivenProcess::start(DRIVEN, &arguments, variables.into_iter().chain(others));
        assert_eq!(ready, "ready");
        driven.send("spans 1");
        let flushed = driven.send("flush 20000");
        assert!(flushed.contains(&expected), "{flushed}");
    }
}
