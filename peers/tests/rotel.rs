//! A rotel, which is a receiver made of tonic and hyper: what arrives, and what is reported.

use std::path::PathBuf;

use integration_tests::own_process::in_own_process_with;
use integration_tests::server::TIMEOUT;
use opentelemetry::trace::{Span, Tracer};
use opentelemetry::{KeyValue, global};
use otel_setup::{Signal, Telemetry};
use peers::backends::outage::{Expected, Outage, Row, go_through};
use peers::backends::{Receiver, Rotel, install_rotel};
use tokio::runtime::{Builder, Runtime};
use tracing::info;

const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

/// The default of its limit for a message over gRPC, in MiB. Over HTTP, it is always 20.
const LIMIT: u32 = 4;

const OUTAGES: [Row; 4] = [
    (Outage::Killed(3), "10000", Expected::Once),
    (Outage::Ended(3), "10000", Expected::Once),
    (Outage::Frozen(25), "10000", Expected::NotConfirmed),
    (Outage::Frozen(25), "60000", Expected::Once),
];

#[test]
fn outages() {
    go_through::<Rotel>(&program(), &OUTAGES);
}

fn program() -> PathBuf {
    install_rotel(env!("CARGO_TARGET_TMPDIR"))
}

/// Sets up telemetry with an endpoint, and all else by default or from variables.
fn set_up(endpoint: &str) -> (Runtime, Telemetry) {
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let builder = otel_setup::builder().otlp_endpoint(endpoint);
    let telemetry = runtime.block_on(async { builder.init() }).unwrap();
    (runtime, telemetry)
}

/// Records spans with this number of bytes each.
fn record_spans(count: usize, size: usize) {
    for _ in 0..count {
        let mut span = global::tracer("rotel").start("fat");
        span.set_attribute(KeyValue::new("fat", "x".repeat(size)));
        span.end();
    }
}

#[test]
fn all_signals_arrive_once() {
    let program = program();
    for protocol in ["grpc", "http/protobuf"] {
        for compression in ["none", "gzip"] {
            let variables = [(PROTOCOL, protocol), ("OTEL_EXPORTER_OTLP_COMPRESSION", compression)];
            in_own_process_with(&variables, || {
                let mut rotel = Rotel::start(&program);
                let (runtime, telemetry) = set_up(&rotel.endpoint(protocol));
                record_spans(3, 10);
                for number in 0..2 {
                    info!("number {number}");
                }
                global::meter("rotel").u64_counter("made").build().add(7, &[]);
                runtime.block_on(telemetry.shutdown(TIMEOUT)).unwrap();
                rotel.wait_until(|arrived| (arrived.spans.len(), arrived.logs.len(), arrived.made) == (3, 2, 7));
                // At its end, rotel passes on the rest.
                rotel.end();
                let arrived = rotel.wait_until(|_| true);
                assert_eq!(arrived.spans.into_values().collect::<Vec<_>>(), [1, 1, 1]);
                let logs: Vec<_> = arrived.logs.into_iter().collect();
                assert_eq!(logs, [("number 0".to_owned(), 1), ("number 1".to_owned(), 1)]);
                assert_eq!(arrived.made, 7);
            });
        }
    }
}

/// Batches that are too large are divided, and only a single span that is too large is lost.
#[test]
fn fat_spans() {
    const MIB: usize = 1024 * 1024;
    let refused = "1 refused: OUT_OF_RANGE: Error, decoded message length too large: found ";
    let program = program();
    for (protocol, limit, count, size, requests, loss) in [
        ("grpc", LIMIT, 6, MIB, &[3, 3][..], None),
        ("http/protobuf", LIMIT, 6, MIB, &[3, 3], None),
        // Eight are refused, and then four.
        ("grpc", 1, 8, 400_000, &[2, 2, 2, 2], None),
        ("grpc", LIMIT, 1, 5 * MIB, &[], Some(refused)),
        ("http/protobuf", LIMIT, 1, 5 * MIB, &[1], None),
    ] {
        let row = format!("{limit} {count} {size}");
        in_own_process_with(&[(PROTOCOL, protocol), ("ROW", &row)], || {
            let rotel = Rotel::start_to_count(&program, limit);
            let (runtime, telemetry) = set_up(&rotel.endpoint(protocol));
            record_spans(count, size);
            let result = runtime.block_on(telemetry.shutdown(TIMEOUT));
            match (result, loss) {
                (Ok(()), None) => {}
                (Err(error), Some(words)) => {
                    assert_eq!(error.lost(Signal::Traces), 1);
                    assert!(error.to_string().contains(words), "{error}");
                }
                (result, loss) => panic!("{result:?} instead of {loss:?}"),
            }
            assert_eq!(rotel.accepted(requests.iter().sum()), requests);
        });
    }
}

/// Mistakes in the endpoint. Unlike a Collector, rotel also speaks HTTP/2 on its port for HTTP.
#[test]
fn wrong_port_or_path() {
    let program = program();
    for (protocol, port, path, words) in [
        (
            "grpc",
            "http/protobuf",
            "",
            "refused: UNIMPLEMENTED: the port speaks HTTP/2, but not gRPC; set \
             OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or `otlp_endpoint` to the port for gRPC, usually 4317 (",
        ),
        (
            "http/protobuf",
            "grpc",
            "",
            "unreachable: the port speaks HTTP/2, as gRPC does; set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or \
             `otlp_endpoint` to the port for HTTP, usually 4318 (",
        ),
        (
            "http/protobuf",
            "http/protobuf",
            "/otlp",
            "/otlp/v1/traces (1 refused: 404 Not Found)",
        ),
    ] {
        in_own_process_with(&[(PROTOCOL, protocol), ("ROW", path)], || {
            let rotel = Rotel::start_to_count(&program, LIMIT);
            let (runtime, telemetry) = set_up(&format!("{}{path}", rotel.endpoint(port)));
            record_spans(1, 10);
            let error = runtime.block_on(telemetry.shutdown(TIMEOUT)).unwrap_err();
            assert_eq!(error.lost(Signal::Traces), 1);
            assert!(error.to_string().contains(words), "{error}");
        });
    }
}
