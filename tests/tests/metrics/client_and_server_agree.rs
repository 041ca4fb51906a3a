//! Ten thousand concurrent RPCs with random outcomes: client and server record the same RPCs.
//!
//! Both must agree on the outcome, unless only one of them can observe it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use integration_tests::client::{Kind, call, connect};
use integration_tests::coverage::Coverage;
use integration_tests::own_process::in_own_process;
use integration_tests::panics;
use integration_tests::scripted::ScriptedService;
use integration_tests::telemetry::{Attributes, Metrics, attributes};
use opentelemetry::trace::{SpanId, SpanKind, Status as SpanStatus};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::TracedChannel;
use tokio::task::JoinSet;
use tonic::Request;

use crate::Numbers;

const RPCS: usize = 10_000;
const AT_ONCE: u64 = 8;

/// Makes one RPC with a random outcome.
///
/// 1 % of the RPCs panic, 1 % exceed their deadline, 30 % are cancelled at a random time, and
/// 10 % fail.
async fn one(channel: TracedChannel, numbers: &mut Numbers) {
    let kind = Kind::ALL[usize::try_from(numbers.below(4)).unwrap()];
    let request = |script| Request::new(script_of(kind, script));
    let _ = match numbers.below(100) {
        0 => call(channel, kind, request("panic")).await,
        1 => {
            // tonic enforces deadlines only until the response headers, so use kinds of RPC that
            // wait before them.
            let kind = if kind.replies_with_a_stream() {
                Kind::Unary
            } else {
                kind
            };
            let mut request = Request::new("wait");
            request.set_timeout(Duration::from_millis(1 + numbers.below(20)));
            call(channel, kind, request).await
        }
        2..32 => {
            let (script, moment) = match numbers.below(2) {
                0 => ("wait", 1 + numbers.below(2000)),
                _ => ("", numbers.below(600)),
            };
            let call = call(channel, kind, request(script));
            match tokio::time::timeout(Duration::from_micros(moment), call).await {
                Ok(result) => result,
                Err(_) => return,
            }
        }
        32..37 => call(channel, kind, request("5")).await,
        37..42 => call(channel, kind, request("13")).await,
        _ => call(channel, kind, request("")).await,
    };
}

/// Returns the text of a request. Streams follow the script at their second item.
fn script_of(kind: Kind, script: &'static str) -> &'static str {
    match (kind.replies_with_a_stream(), script) {
        (true, "panic") => "later panic",
        (true, "wait") => "later wait",
        (true, "5") => "later 5",
        (true, "13") => "later 13",
        (true, "") => "later ",
        (_, script) => script,
    }
}

async fn drive() {
    let server = Coverage::Both.serve(&ScriptedService::default()).await;
    let mut workers = JoinSet::new();
    for worker in 1..=AT_ONCE {
        let channel = connect(&server).await;
        workers.spawn(async move {
            let mut numbers = Numbers(worker.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            for _ in 0..RPCS as u64 / AT_ONCE {
                one(channel.clone(), &mut numbers).await;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
}

/// The status message of tonic for a request without a message.
const NO_MESSAGE: &str = "Missing request message.";

/// The outcome of an RPC: `rpc.status_code` and `error.type`.
type End = (String, Option<String>);

fn end(found: &Attributes) -> End {
    (found["rpc.status_code"].clone(), found.get("error.type").cloned())
}

fn end_of(span: &SpanData) -> End {
    end(&attributes(&span.attributes))
}

fn measured(durations: Vec<(Attributes, u64, f64)>) -> BTreeMap<End, u64> {
    let mut measured = BTreeMap::new();
    for (point, count, _) in durations {
        *measured.entry(end(&point)).or_insert(0) += count;
    }
    measured
}

fn counted<'a>(spans: impl IntoIterator<Item = &'a SpanData>) -> BTreeMap<End, u64> {
    let mut counted = BTreeMap::new();
    for span in spans {
        *counted.entry(end_of(span)).or_insert(0) += 1;
    }
    counted
}

fn kinds(ends: &BTreeMap<End, u64>) -> Vec<(&str, Option<&str>)> {
    ends.keys()
        .map(|(code, error)| (code.as_str(), error.as_deref()))
        .collect()
}

/// Asserts that metrics and spans have the same counts.
fn assert_counts(metrics: &Metrics, clients: &[&SpanData], servers: &[&SpanData]) {
    assert_eq!(metrics.client_duration_count(), clients.len() as u64);
    assert_eq!(metrics.duration_count(), servers.len() as u64);
    let active = [metrics.client_active_requests(), metrics.active_requests()];
    for (labels, active) in active.iter().flatten() {
        assert_eq!(*active, 0, "{labels:?}");
    }
    assert_eq!(measured(metrics.client_durations()), counted(clients.iter().copied()));
    assert_eq!(measured(metrics.durations()), counted(servers.iter().copied()));
}

fn assert_each_outcome_occurred(clients: &[&SpanData], servers: &[&SpanData]) {
    let same = |code| (code, Some(code));
    assert_eq!(
        kinds(&counted(clients.iter().copied())),
        [
            same("CANCELLED"),
            same("DEADLINE_EXCEEDED"),
            same("INTERNAL"),
            same("NOT_FOUND"),
            ("OK", None),
        ]
    );
    assert_eq!(
        kinds(&counted(servers.iter().copied())),
        [
            ("CANCELLED", None),
            same("DEADLINE_EXCEEDED"),
            same("INTERNAL"),
            ("NOT_FOUND", None),
            ("OK", None),
            ("UNKNOWN", Some("panic")),
        ]
    );
}

/// Asserts that every RPC of the server belongs to another RPC of the client.
fn assert_pairs(clients: &[&SpanData], servers: &[&SpanData]) {
    let mut by_parent: HashMap<SpanId, &SpanData> = HashMap::new();
    for server in servers {
        assert!(server.parent_span_is_remote);
        assert!(by_parent.insert(server.parent_span_id, server).is_none(), "{server:?}");
    }
    let mut arrived = 0;
    for client in clients {
        let seen = end_of(client).0;
        let Some(server) = by_parent.get(&client.span_context.span_id()) else {
            // The RPC was cancelled before the request was sent.
            assert!(["CANCELLED", "DEADLINE_EXCEEDED"].contains(&&*seen), "{client:?}");
            continue;
        };
        arrived += 1;
        assert_eq!(server.name, client.name);
        assert_eq!(server.span_context.trace_id(), client.span_context.trace_id());
        assert!(agree(&seen, server), "{client:?} {server:?}");
    }
    assert_eq!(arrived, servers.len(), "a server's span below no client's");
}

/// Returns whether a client can see this status, if the server's span is `server`.
fn agree(seen: &str, server: &SpanData) -> bool {
    match &*end_of(server).0 {
        there if seen == there => true,
        // The server had finished when the client cancelled; or a panic reset the stream.
        "OK" | "UNKNOWN" => seen == "CANCELLED",
        // The server's deadline starts later than the client's. If the client's passes first, the
        // server observes a cancellation.
        "CANCELLED" => seen == "DEADLINE_EXCEEDED",
        // The client cancelled between the request's headers and its message. tonic treats the
        // missing message as an invalid request.
        "INTERNAL" => {
            ["CANCELLED", "DEADLINE_EXCEEDED"].contains(&seen) && server.status == SpanStatus::error(NO_MESSAGE)
        }
        _ => false,
    }
}

#[test]
fn client_and_server_agree_on_ten_thousand_rpcs() {
    in_own_process(|| {
        let telemetry = panics::start();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(drive());
        // RPCs in progress end with their tasks.
        drop(runtime);

        let spans = telemetry.ended_spans();
        assert_eq!(telemetry.started(), spans.len());
        let (clients, servers): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.span_kind == SpanKind::Client);
        // A call that is cancelled before its first poll was never made.
        let made = clients.len();
        assert!(made <= RPCS && made > RPCS * 9 / 10, "{made}");
        assert_counts(&telemetry.metrics(), &clients, &servers);
        assert_each_outcome_occurred(&clients, &servers);
        assert_pairs(&clients, &servers);
    });
}
