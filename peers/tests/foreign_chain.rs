//! A chain of four processes, Python → Rust → Node → Rust, makes one trace.
//!
//! Each has nothing but its language's set-up.

use integration_tests::child::DrivenProcess;
use integration_tests::collector::Collector;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{self, Client, Server};
use peers::foreign::{Language, attribute, spans_and_services};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");
const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");

/// The spans from the root down: the service, the kind and the name.
const HOPS: [(&str, SpanKind, &str); 6] = [
    ("python", Client, "/kinds.Unary/Call"),
    ("rust 1", Server, "kinds.Unary/Call"),
    ("rust 1", Client, "kinds.Unary/Call"),
    ("node", Server, "grpc.kinds.Unary/Call"),
    ("node", Client, "grpc.kinds.Unary/Call"),
    ("rust 2", Server, "kinds.Unary/Call"),
];

#[test]
fn a_chain_of_four_processes_makes_one_trace() {
    let (python, node) = (Language::python(DIRECTORY), Language::node(DIRECTORY));
    let collector = Collector::start();
    let (last, address) = hop("rust 2", &[], &collector);
    let mut middle = node.start("node", "server.js", &[PROTO, "server", &address], &collector);
    let address = middle.answer();
    let (first, address) = hop("rust 1", &[&address], &collector);
    let mut client = python.start("python", "client.py", &[PROTO, "client", &address], &collector);

    assert_eq!(client.send("Unary|hello||"), "ended Unary OK 1 hello ada");
    assert_eq!(
        client.send("Unary|nobody||"),
        "ended Unary NOT_FOUND 0 nobody of that name"
    );
    // The programs export the rest when they end.
    for program in [client, first, middle, last] {
        assert_eq!(program.end(), Vec::<String>::new());
    }

    let spans: Vec<_> = collector.received().iter().flat_map(spans_and_services).collect();
    assert_eq!(spans.len(), 2 * HOPS.len(), "{spans:#?}");
    let roots: Vec<_> = spans
        .iter()
        .filter(|(_, span)| span.parent_span_id.is_empty())
        .collect();
    let [found, missing] = &roots[..] else {
        panic!("not two roots: {roots:#?}")
    };
    assert_ne!(found.1.trace_id, missing.1.trace_id);
    assert_chain(&spans, found, "OK", 0);
    assert_chain(&spans, missing, "NOT_FOUND", 5);
}

/// Asserts that each span has exactly one child, from the root down.
fn assert_chain(spans: &[(String, Span)], root: &(String, Span), code: &str, number: i32) {
    let mut chain = vec![root];
    while let Some((_, above)) = chain.last() {
        let below = spans.iter().filter(|(_, span)| span.parent_span_id == above.span_id);
        let below: Vec<_> = below.collect();
        match below[..] {
            [] => break,
            [one] => chain.push(one),
            _ => panic!("more than one below {above:#?}: {below:#?}"),
        }
    }
    let hops: Vec<_> = chain
        .iter()
        .map(|(service, span)| (&**service, span.kind(), &*span.name))
        .collect();
    assert_eq!(hops, HOPS);
    for (service, span) in chain {
        assert_eq!(span.trace_id, root.1.trace_id);
        let (code, number) = (Some(code.to_owned()), Some(number.to_string()));
        if service.starts_with("rust") {
            assert_eq!(attribute(span, "rpc.status_code"), code, "{span:#?}");
        } else {
            assert_eq!(attribute(span, "rpc.grpc.status_code"), number, "{span:#?}");
        }
    }
}

/// Starts a service in Rust, and returns it with its address.
fn hop(service: &str, next: &[&str], collector: &Collector) -> (DrivenProcess, String) {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()),
        ("OTEL_SERVICE_NAME", service),
        ("RUST_LOG", "off"),
    ];
    DrivenProcess::start(env!("CARGO_BIN_EXE_hop"), next, variables)
}
