//! Random requests to unknown methods increase neither the number of time series nor the memory.
//!
//! `MADE_UP_RPCS=100000` sets the number of RPCs, and `MADE_UP_SEED` the seed.

use fastrand::Rng;
use integration_tests::counted::{CountingTelemetry, number_from_env, series};
use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use otel_runtime::ServerLayer;
use tokio::task::JoinSet;
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request};

use crate::ALLOCATED;

const AT_ONCE: u64 = 4;
const ROUND: u64 = 10_000;

/// Returns a random word of characters that are valid in paths and headers.
fn word(random: &mut Rng) -> String {
    let length = random.usize(1..40);
    std::iter::repeat_with(|| random.choice(b"abcdefghijklmnopqrstuvwxyz0123456789-._").unwrap())
        .take(length)
        .map(|letter| char::from(*letter))
        .collect()
}

/// Returns a random path, and a request with random headers.
fn made_up(random: &mut Rng) -> (String, Request<Message>) {
    let mut request = request(&format!("say {}", word(random)));
    let metadata = request.metadata_mut();
    for _ in 0..random.u8(0..8) {
        let name = match random.u8(0..8) {
            0 => "x-tenant".to_owned(),
            1 => "baggage".to_owned(),
            2 => "tracestate".to_owned(),
            _ => format!("x-{}", word(random).trim_end_matches("-bin")),
        };
        let name = AsciiMetadataKey::from_bytes(name.as_bytes()).unwrap();
        metadata.append(
            name,
            AsciiMetadataValue::try_from(format!("{0}={0}", word(random))).unwrap(),
        );
    }
    if random.bool() {
        let (trace, span, flags) = (random.u128(1..), random.u64(1..), random.u8(..));
        let traceparent = format!("00-{trace:032x}-{span:016x}-{flags:02x}");
        metadata.insert("traceparent", traceparent.parse().unwrap());
    }
    (format!("{}/{}", word(random), word(random)), request)
}

/// Makes the RPCs of a round, 10 % of them to a known method, and returns the number of these.
async fn flood(server: &RunningServer, random: &mut Rng) -> u64 {
    let mut workers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (channel, mut random) = (server.channel().await, random.fork());
        workers.spawn(async move {
            let mut known = 0;
            for _ in 0..ROUND / AT_ONCE {
                let (path, request) = made_up(&mut random);
                if random.u8(0..10) == 0 {
                    assert_eq!(call(channel.clone(), RPCS[0], request).await, Code::Ok);
                    known += 1;
                } else {
                    assert_eq!(call(channel.clone(), &path, request).await, Code::Unimplemented);
                }
            }
            known
        });
    }
    workers.join_all().await.into_iter().sum()
}

async fn call(channel: Channel, path: &str, request: Request<Message>) -> Code {
    let (_, status) = call_to_end(channel, path, request).await;
    status.code()
}

#[test]
fn time_series_and_memory_are_bounded() {
    in_own_process_async(async {
        let rpcs = number_from_env("MADE_UP_RPCS", 20_000);
        let mut random = Rng::with_seed(number_from_env("MADE_UP_SEED", 1));
        let counted = CountingTelemetry::default();
        let layer = ServerLayer::new()
            .request_headers(["x-tenant"])
            .instrumentation(counted.instrumentation.clone());
        let routes = Annotated::routes(&ScriptedService::default());
        let server = serve_with(Server::builder().layer(layer), routes).await;

        let (mut so_far, mut known, mut in_use) = (0, 0, Vec::new());
        while so_far < rpcs {
            known += flood(&server, &mut random).await;
            so_far += ROUND;
            let found = counted.after(so_far).await;
            let durations = [
                ("kinds.Unary/Call OK", known),
                ("UNIMPLEMENTED _OTHER UNIMPLEMENTED", so_far - known),
            ];
            assert_eq!(found["rpc.server.call.duration"], series(durations));
            let active = [("kinds.Unary/Call", 0), ("_OTHER", 0)];
            assert_eq!(found["rpc.server.active_requests"], series(active));
            assert_eq!(found.len(), 2, "{:?}", found.keys());
            drop(found);
            in_use.push(ALLOCATED.allocated());
        }
        println!("in use after each {ROUND} RPCs: {in_use:?}");
        // If only the path of each RPC were retained, a round would need 400,000 bytes.
        let (first, last) = (in_use[0], in_use[in_use.len() - 1]);
        assert!(last < first + 100_000, "{in_use:?}");
    });
}
