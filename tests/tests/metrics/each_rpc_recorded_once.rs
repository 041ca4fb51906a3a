//! Ten thousand concurrent RPCs with random outcomes: each is recorded exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process;
use integration_tests::panics;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Attributes, attributes};
use otel_runtime::{ServerLayer, traced_service};
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt};
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status, Streaming};

const CALLS: u64 = 10_000;
const AT_ONCE: u64 = 8;

/// A service that counts the calls that reach it, and follows the script in the request.
#[derive(Clone, Default)]
struct CountingService {
    calls: Arc<AtomicU64>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

impl CountingService {
    /// Counts a call, first of all, so that it counts the same calls as the attribute.
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    async fn handle(text: &str) -> Result<Message, Status> {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        match text {
            "panic" => panic!("as asked"),
            "fail" => Err(Status::internal("as asked")),
            "hang" => std::future::pending().await,
            _ => Ok(Message::from("done")),
        }
    }

    /// Returns a stream that follows the script at its second item.
    async fn handle_in_stream(text: String) -> Result<Response<Messages>, Status> {
        let first = CountingService::handle("").await;
        let second = tokio_stream::once(text).then(|text| async move { CountingService::handle(&text).await });
        Ok(Response::new(Box::pin(tokio_stream::once(first).chain(second))))
    }
}

async fn first_text(request: Request<Streaming<Message>>) -> Result<String, Status> {
    Ok(request.into_inner().message().await?.unwrap_or_default().text)
}

#[traced_service]
#[tonic::async_trait]
impl Unary for CountingService {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.count();
        Ok(Response::new(
            CountingService::handle(&request.into_inner().text).await?,
        ))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for CountingService {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        self.count();
        CountingService::handle_in_stream(request.into_inner().text).await
    }
}

#[traced_service]
#[tonic::async_trait]
impl ClientStream for CountingService {
    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
        self.count();
        let text = first_text(request).await?;
        Ok(Response::new(CountingService::handle(&text).await?))
    }
}

#[traced_service]
#[tonic::async_trait]
impl Bidi for CountingService {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        self.count();
        let text = first_text(request).await?;
        CountingService::handle_in_stream(text).await
    }
}

/// A deterministic pseudo-random number generator (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

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
    let call = |rpc: &'static str, text| call_to_end(channel.clone(), rpc, request(text));
    match numbers.below(100) {
        0 => drop(call(rpc, "panic").await),
        1..31 => {
            let text = if numbers.below(2) == 0 { "hang" } else { "" };
            let moment = if text == "hang" {
                1 + numbers.below(2000)
            } else {
                numbers.below(600)
            };
            let _ = tokio::time::timeout(Duration::from_micros(moment), call(rpc, text)).await;
        }
        31..41 => drop(call(rpc, "fail").await),
        41..46 if faults == Faults::OfTheWire => drop(call("kinds.Unary/Nothing", "").await),
        46..51 if faults == Faults::OfTheWire => {
            let mut request = request("");
            request.metadata_mut().insert(TURN_AWAY, "please".parse().unwrap());
            drop(call_to_end(channel, rpc, request).await);
        }
        _ => drop(call(rpc, "").await),
    }
}

fn turn_away(request: Request<()>) -> Result<Request<()>, Status> {
    if request.metadata().contains_key(TURN_AWAY) {
        Err(Status::unauthenticated("as asked"))
    } else {
        Ok(request)
    }
}

/// Starts a server for `faults`. The number counts the RPCs that must be recorded.
async fn serve_counted(faults: Faults) -> (RunningServer, Arc<AtomicU64>) {
    let service = CountingService::default();
    let routes = Routes::new(UnaryServer::new(service.clone()))
        .add_service(ServerStreamServer::new(service.clone()))
        .add_service(ClientStreamServer::new(service.clone()))
        .add_service(BidiServer::new(service.clone()));
    if faults == Faults::OfHandlers {
        return (serve(routes).await, service.calls);
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
    (serve_with(server, routes).await, arrived)
}

async fn drive(faults: Faults) -> Arc<AtomicU64> {
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

    let rpcs = arrived.load(Ordering::Relaxed);
    let spans = telemetry.ended_spans();
    let metrics = telemetry.metrics();
    assert_eq!(telemetry.started() as u64, rpcs);
    assert_eq!(spans.len() as u64, rpcs);
    assert_eq!(metrics.duration_count(), rpcs);
    // RPCs that were cancelled before they arrived are missing.
    assert!(rpcs <= CALLS && rpcs > CALLS * 8 / 10, "{rpcs} RPCs arrived");

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
