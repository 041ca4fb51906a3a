//! Ten thousand concurrent RPCs with random outcomes: each is recorded exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use integration_tests::coverage::{RPCS, STREAMING};
use integration_tests::own_process::in_own_process;
use integration_tests::panics;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Attributes, attributes};
use otel_runtime::ServerLayer;
use tokio::task::JoinSet;
use tonic::service::InterceptorLayer;
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};

use crate::Numbers;

const CALLS: u64 = 10_000;
const AT_ONCE: u64 = 8;

/// The faults that are injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Faults {
    OfHandlers,
    OfTheWire,
}

/// The header that makes an interceptor reject the RPC.
const TURN_AWAY: &str = "x-turn-away";

/// Makes one RPC with a random outcome.
///
/// 1 % of the RPCs panic, 30 % are cancelled at a random time, and 10 % fail. With faults on the
/// wire, 10 % never reach a handler.
async fn one(channel: Channel, numbers: &mut Numbers, faults: Faults) {
    let rpc = RPCS[usize::try_from(numbers.below(4)).unwrap()];
    let call = |script| call_to_end(channel.clone(), rpc, request(&script_of(rpc, script)));
    match numbers.below(100) {
        0 => drop(call("panic").await),
        1..31 => {
            let (script, moment) = match numbers.below(2) {
                0 => ("wait", 1 + numbers.below(2000)),
                _ => ("", numbers.below(600)),
            };
            let _ = tokio::time::timeout(Duration::from_micros(moment), call(script)).await;
        }
        31..41 => drop(call("13").await),
        41..46 if faults == Faults::OfTheWire => {
            drop(call_to_end(channel, "kinds.Unary/Nothing", request("")).await);
        }
        46..51 if faults == Faults::OfTheWire => {
            let mut request = request("");
            request.metadata_mut().insert(TURN_AWAY, "please".parse().unwrap());
            drop(call_to_end(channel, rpc, request).await);
        }
        _ => drop(call("").await),
    }
}

/// Returns the text of a request. Streams follow the script at their second item.
fn script_of(rpc: &str, script: &str) -> String {
    if STREAMING.contains(&rpc) {
        format!("later {script}")
    } else {
        script.to_owned()
    }
}

fn turn_away(request: Request<()>) -> Result<Request<()>, Status> {
    if request.metadata().contains_key(TURN_AWAY) {
        Err(Status::unauthenticated("as asked"))
    } else {
        Ok(request)
    }
}

/// Starts a server for `faults`. The function returns how many RPCs must be recorded.
async fn serve_counted(faults: Faults) -> (RunningServer, Box<dyn Fn() -> u64>) {
    let service = ScriptedService::default();
    let routes = Annotated::routes(&service);
    if faults == Faults::OfHandlers {
        return (serve(routes).await, Box::new(move || service.calls()));
    }
    let arrived = Arc::new(AtomicU64::new(0));
    let count = {
        let arrived = Arc::clone(&arrived);
        move |request: Request<()>| {
            arrived.fetch_add(1, Ordering::Relaxed);
            Ok(request)
        }
    };
    let server = Server::builder()
        .layer(InterceptorLayer::new(count))
        .layer(ServerLayer::new().known_methods(RPCS))
        .layer(InterceptorLayer::new(turn_away));
    let server = serve_with(server, routes).await;
    (server, Box::new(move || arrived.load(Ordering::Relaxed)))
}

async fn drive(faults: Faults) -> Box<dyn Fn() -> u64> {
    let (server, arrived) = serve_counted(faults).await;
    let mut workers = JoinSet::new();
    for worker in 1..=AT_ONCE {
        let channel = server.channel().await;
        workers.spawn(async move {
            let mut numbers = Numbers(worker.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            for _ in 0..CALLS / AT_ONCE {
                one(channel.clone(), &mut numbers, faults).await;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
    arrived
}

fn record_ten_thousand_rpcs(faults: Faults, methods: &[&str], ends: &[(&str, Option<&str>)]) {
    let telemetry = panics::start();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let arrived = runtime.block_on(drive(faults));
    // RPCs in progress end with their tasks.
    drop(runtime);

    let rpcs = arrived();
    let spans = telemetry.ended_spans();
    let metrics = telemetry.metrics();
    assert_eq!(telemetry.started() as u64, rpcs);
    assert_eq!(spans.len() as u64, rpcs);
    assert_eq!(metrics.duration_count(), rpcs);
    // RPCs that were cancelled before they arrived are missing: on a busy machine, nearly all of
    // the 30 % that are cancelled.
    assert!(rpcs <= CALLS && rpcs > CALLS * 65 / 100, "{rpcs} RPCs arrived");

    for (method, active) in metrics.active_requests() {
        assert_eq!(active, 0, "{method:?}");
    }
    let points = metrics.durations();
    let measured: BTreeSet<_> = points.iter().map(|(point, ..)| &*point["rpc.method"]).collect();
    assert_eq!(measured, methods.iter().copied().collect());

    // Each outcome occurred, and spans and metrics agree on the counts.
    let ended = |found: &Attributes| (found["rpc.status_code"].clone(), found.get("error.type").cloned());
    let mut by_end = BTreeMap::new();
    for span in &spans {
        *by_end.entry(ended(&attributes(&span.attributes))).or_insert(0) += 1;
    }
    let mut measured = BTreeMap::new();
    for (point, count, _) in &points {
        *measured.entry(ended(point)).or_insert(0) += count;
    }
    assert_eq!(by_end, measured);
    let found: Vec<_> = by_end
        .keys()
        .map(|(code, error)| (code.as_str(), error.as_deref()))
        .collect();
    assert_eq!(found, ends, "{by_end:?}");
}

#[test]
fn attribute_records_each_rpc_once() {
    in_own_process(|| {
        record_ten_thousand_rpcs(
            Faults::OfHandlers,
            &RPCS,
            &[
                ("CANCELLED", None),
                ("INTERNAL", Some("INTERNAL")),
                ("OK", None),
                ("UNKNOWN", Some("panic")),
            ],
        );
    });
}

#[test]
fn layer_and_attribute_record_each_rpc_once() {
    let mut methods = vec!["_OTHER"];
    methods.extend(RPCS);
    in_own_process(|| {
        record_ten_thousand_rpcs(
            Faults::OfTheWire,
            &methods,
            &[
                ("CANCELLED", None),
                ("INTERNAL", Some("INTERNAL")),
                ("OK", None),
                ("UNAUTHENTICATED", None),
                ("UNIMPLEMENTED", Some("UNIMPLEMENTED")),
                ("UNKNOWN", Some("panic")),
            ],
        );
    });
}
