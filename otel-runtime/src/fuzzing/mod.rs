//! Properties of all code that parses untrusted bytes: one file for each target in `fuzz/`.
//!
//! Each file has a function `check`, which panics if a property does not hold for its input.
//! `cargo fuzz` searches for such input. The tests here need no nightly compiler: they use random
//! bytes, and the corpus in `fuzz/corpus/`.

pub mod grpc_timeout;
pub mod header_capture;
pub mod paths;
pub mod propagators;
pub mod targets;
pub mod traceparent;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Parses headers, one `name: value` per line. Ignores invalid lines.
fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else {
            continue;
        };
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.trim_ascii()),
            HeaderValue::from_bytes(value.trim_ascii()),
        ) {
            // A header that exceeds the capacity of the map is ignored.
            let _ = headers.try_append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    /// The name of a fuzz target, its check, and fragments of its input format.
    type Target = (&'static str, fn(&[u8]), &'static [&'static str]);

    const TARGETS: &[Target] = &[
        (
            "grpc_timeout",
            grpc_timeout::check,
            &["1", "0", "99999999", "H", "M", "S", "m", "u", "n"],
        ),
        (
            "header_capture",
            header_capture::check,
            &["x-tenant: ", "trace-bin: ", "AAE=", "\u{e9}", "\n", ",", "="],
        ),
        (
            "paths",
            paths::check,
            &["/", "a.B", "SayHello", "say_hello", "%2f", "\u{e9}"],
        ),
        (
            "propagators",
            propagators::check,
            &[
                "b3: 80f198ee56343ba864fe8b2a57d3eff7-05e3ac9a4f6e3b90-1",
                "x-b3-traceid: 80f198ee56343ba864fe8b2a57d3eff7",
                "x-b3-spanid: 05e3ac9a4f6e3b90",
                "uber-trace-id: 80f198ee56343ba8:05e3ac9a4f6e3b90:0:1",
                "uberctx-a: %22",
                "grpc-trace-bin: AABL+S81d7NNpqPOkp0ADkc2ATTwZ6oLqQK3AgE",
                "ot-tracer-traceid: 64fe8b2a57d3eff7",
                "ot-tracer-spanid: e457b5a2e4d86bd1",
                "ot-tracer-sampled: true",
                "ot-baggage-a: 1",
                "x-cloud-trace-context: 105445aa7843bc8bf206b12000100000/1;o=1",
                "x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "tracestate: a=1",
                "baggage: a=1",
                "\n",
                ",",
                ";",
                "=",
            ],
        ),
        (
            "targets",
            targets::check,
            &["http", "dns", "://", ":", "/", "a.example", "@", "[::1]", "443", "unix"],
        ),
        (
            "traceparent",
            traceparent::check,
            &[
                "traceparent: ",
                "00",
                "-",
                "4bf92f3577b34da6a3ce929d0e0e4736",
                "00f067aa0ba902b7",
                "01",
                "\ntracestate: a=1",
                "\nbaggage: a=1",
                "b@@c=2",
                "key=%2C;p=%25",
                "\t",
                ",",
                ";",
                "=",
                "%",
            ],
        ),
    ];

    /// Generates input from fragments of the format, with random bytes between them.
    fn bytes(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec());
        let anything = prop::collection::vec(any::<u8>(), 0..4);
        prop::collection::vec(prop_oneof![3 => piece, 1 => anything], 0..12).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn checks_hold_for_random_input() {
        for (_, check, pieces) in TARGETS {
            proptest!(ProptestConfig::with_cases(1000), |(bytes in bytes(pieces))| check(&bytes));
        }
    }

    #[test]
    fn checks_hold_for_the_corpus() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (target, check, _) in TARGETS {
            let files: Vec<_> = corpus.join(target).read_dir().unwrap().collect();
            assert!(!files.is_empty(), "{target}");
            for file in files {
                check(&std::fs::read(file.unwrap().path()).unwrap());
            }
        }
    }
}
