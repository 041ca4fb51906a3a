//! How a span ended: the bucket of its latency, or the code of its failure.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::Value;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;

/// The lower bounds of the latency buckets, as in the zPages of other languages.
pub(super) const BOUNDS: [Duration; 9] = [
    Duration::ZERO,
    Duration::from_micros(10),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(100),
];

/// The names of the buckets.
pub(super) const BUCKETS: [&str; 9] = [
    ">0 µs", ">10 µs", ">100 µs", ">1 ms", ">10 ms", ">100 ms", ">1 s", ">10 s", ">100 s",
];

/// The outcome of a span.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    /// The index of the latency bucket.
    Success(usize),
    /// The code: of an RPC its status code, of any other span its `error.type`.
    Failure(Cow<'a, str>),
}

impl<'a> Outcome<'a> {
    pub(super) fn from_span(span: &'a SpanData) -> Self {
        // The code is among the last attributes.
        let attribute = |key| {
            let mut attributes = span.attributes.iter().rev();
            let found = attributes.find(|attribute| attribute.key.as_str() == key);
            found.map(|attribute| &attribute.value)
        };
        match attribute("rpc.status_code") {
            Some(Value::String(code)) if code.as_str() == "OK" => {}
            Some(code) => return Outcome::Failure(code.as_str()),
            None if matches!(span.status, Status::Error { .. }) => {
                let code = attribute("error.type").map(Value::as_str);
                return Outcome::Failure(code.unwrap_or("error".into()));
            }
            None => {}
        }
        let latency = span.end_time.duration_since(span.start_time).unwrap_or_default();
        // Most latencies are in one of the first buckets. The first bound is zero.
        let next = BOUNDS[1..].iter().position(|bound| latency <= *bound);
        Outcome::Success(next.unwrap_or(BOUNDS.len() - 1))
    }
}
