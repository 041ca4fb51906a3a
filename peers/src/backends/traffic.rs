//! Calls whose telemetry is known.

use std::collections::BTreeMap;

use integration_tests::client::{Kind, call, endpoint};
use integration_tests::coverage::Coverage;
use integration_tests::scripted::ScriptedService;
use otel_runtime::TracedChannel;
use tonic::Request;

/// Text of the request, number of calls of each kind, and their ends at the server and at the
/// client: code and type of the error.
type Calls = (&'static str, usize, [(&'static str, &'static str); 2]);

/// All calls.
const CALLS: [Calls; 4] = [
    ("echo", 3, [("OK", ""), ("OK", "")]),
    ("5", 2, [("NOT_FOUND", ""), ("NOT_FOUND", "NOT_FOUND")]),
    ("13", 1, [("INTERNAL", "INTERNAL"), ("INTERNAL", "INTERNAL")]),
    ("panic", 1, [("UNKNOWN", "panic"), ("CANCELLED", "CANCELLED")]),
];

/// Makes all calls, of each kind, to a server of this process.
pub async fn make() {
    let service = ScriptedService::default();
    let server = Coverage::Both.serve(&service).await;
    for kind in Kind::ALL {
        for (text, times, _) in CALLS {
            for _ in 0..times {
                // A panic may cost the connection.
                let channel = TracedChannel::connect(endpoint(server.address)).await.unwrap();
                // The status is judged in the telemetry.
                let _ = call(channel, kind, Request::new(text)).await;
            }
        }
    }
}

/// Returns the number of calls by method, code and error type, at the server or at the client.
#[must_use]
pub fn counts(side: usize, rounds: usize) -> BTreeMap<[String; 3], f64> {
    let mut counts = BTreeMap::new();
    for kind in Kind::ALL {
        for (_, times, sides) in CALLS {
            let (code, error) = sides[side];
            let key = [kind.method(), code, error].map(str::to_owned);
            // Small enough for any float.
            *counts.entry(key).or_insert(0.0) += f64::from(u32::try_from(times * rounds).unwrap());
        }
    }
    counts
}

/// Returns the number of all calls, and that of those that panic.
#[must_use]
pub fn totals() -> (usize, usize) {
    let of = |is_counted: fn(&str) -> bool| -> usize {
        let counted = CALLS.iter().filter(|(text, ..)| is_counted(text));
        counted.map(|(_, times, _)| times).sum::<usize>() * Kind::ALL.len()
    };
    (of(|_| true), of(|text| text == "panic"))
}
