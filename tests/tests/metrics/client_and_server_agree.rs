//! Ten thousand concurrent RPCs with random outcomes: client and server record the same RPCs.
//!
//! Both must agree on the outcome, unless only one of them can observe it.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::time::Duration;

use integration_tests::client::{Kind, call, endpoint};
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_server::{Bidi, BidiServer};
use integration_tests::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process;
use integration_tests::panics;
use integration_tests::telemetry::{Attributes, attributes};
use opentelemetry::trace::{SpanId, SpanKind, Status as SpanStatus};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ServerLayer, TracedChannel, traced_service};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

const RPCS: usize = 10_000;
const AT_ONCE: u64 = 8;

/// A service that follows the script in the request.
#[derive(Clone)]
struct ScriptedService;

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

async fn handle(text: &str) -> Result<Message, Status> {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    match text {
        "panic" => panic!("as asked"),
        "fail" => Err(Status::not_found("as asked")),
        "break" => Err(Status::internal("as asked")),
        "hang" => std::future::pending().await,
        _ => Ok(Message::from("done")),
    }
}

/// Returns a stream that follows the script at its second item.
async fn handle_in_stream(text: String) -> Result<Response<Messages>, Status> {
    let first = handle("").await;
    let second = tokio_stream::once(text).then(|text| async move { handle(&text).await });
    Ok(Response::new(Box::pin(tokio_stream::once(first).chain(second))))
}

async fn first_text(request: Request<Streaming<Message>>) -> Result<String, Status> {
    Ok(request.into_inner().message().await?.unwrap_or_default().text)
}

#[traced_service]
#[tonic::async_trait]
impl Unary for ScriptedService {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(handle(&request.into_inner().text).await?))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for ScriptedService {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        handle_in_stream(request.into_inner().text).await
    }
}

#[traced_service]
#[tonic::async_trait]
impl ClientStream for ScriptedService {
    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
        let text = first_text(request).await?;
        Ok(Response::new(handle(&text).await?))
    }
}

#[traced_service]
#[tonic::async_trait]
impl Bidi for ScriptedService {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        let text = first_text(request).await?;
        handle_in_stream(text).await
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

/// Makes one RPC with a random outcome.
///
/// 1 % of the RPCs panic, 1 % exceed their deadline, 30 % are cancelled at a random time, and
/// 10 % fail.
async fn one(channel: TracedChannel, numbers: &mut Numbers) {
    let kind = Kind::ALL[usize::try_from(numbers.below(4)).unwrap()];
    let _ = match numbers.below(100) {
        0 => call(channel, kind, Request::new("panic")).await,
        1 => {
            // tonic enforces deadlines only until the response headers, so use kinds of RPC that
            // hang before them.
            let kind = if kind.replies_with_a_stream() {
                Kind::Unary
            } else {
                kind
            };
            let mut request = Request::new("hang");
            request.set_timeout(Duration::from_millis(1 + numbers.below(20)));
            call(channel, kind, request).await
        }
        2..32 => {
            let (text, moment) = match numbers.below(2) {
                0 => ("hang", 1 + numbers.below(2000)),
                _ => ("", numbers.below(600)),
            };
            let call = call(channel, kind, Request::new(text));
            match tokio::time::timeout(Duration::from_micros(moment), call).await {
                Ok(result) => result,
                Err(_) => return,
            }
        }
        32..37 => call(channel, kind, Request::new("fail")).await,
        37..42 => call(channel, kind, Request::new("break")).await,
        _ => call(channel, kind, Request::new("")).await,
    };
}

async fn drive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Routes::new(UnaryServer::new(ScriptedService))
        .add_service(ServerStreamServer::new(ScriptedService))
        .add_service(ClientStreamServer::new(ScriptedService))
        .add_service(BidiServer::new(ScriptedService));
    let server = Server::builder().layer(ServerLayer::new()).add_routes(routes);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true))));

    let mut workers = JoinSet::new();
    for worker in 1..=AT_ONCE {
        let channel = TracedChannel::connect(endpoint(address)).await.unwrap();
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
        let metrics = telemetry.metrics();
        // A call that is cancelled before its first poll was never made.
        assert!(
            clients.len() <= RPCS && clients.len() > RPCS * 9 / 10,
            "{}",
            clients.len()
        );
        assert_eq!(metrics.client_duration_count(), clients.len() as u64);
        assert_eq!(metrics.duration_count(), servers.len() as u64);
        for (labels, active) in metrics
            .client_active_requests()
            .iter()
            .chain(&metrics.active_requests())
        {
            assert_eq!(*active, 0, "{labels:?}");
        }
        assert_eq!(measured(metrics.client_durations()), counted(clients.iter().copied()));
        assert_eq!(measured(metrics.durations()), counted(servers.iter().copied()));

        // Each outcome occurred.
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

        // The server's RPCs correspond one-to-one to the client's.
        let mut by_parent: HashMap<SpanId, &SpanData> = HashMap::new();
        for server in &servers {
            assert!(server.parent_span_is_remote);
            assert!(by_parent.insert(server.parent_span_id, server).is_none(), "{server:?}");
        }
        let mut arrived = 0;
        for client in &clients {
            let code = end_of(client).0;
            let Some(server) = by_parent.get(&client.span_context.span_id()) else {
                // The RPC was cancelled before the request was sent.
                assert!(
                    ["CANCELLED", "DEADLINE_EXCEEDED"].contains(&code.as_str()),
                    "{client:?}"
                );
                continue;
            };
            arrived += 1;
            assert_eq!(server.name, client.name);
            assert_eq!(server.span_context.trace_id(), client.span_context.trace_id());
            let (seen, there) = (code.as_str(), end_of(server).0);
            let agree = match there.as_str() {
                _ if seen == there => true,
                // The server had finished when the client cancelled; or a panic reset the stream.
                "OK" | "UNKNOWN" => seen == "CANCELLED",
                // The server's deadline starts later than the client's. If the client's passes first,
                // the server observes a cancellation.
                "CANCELLED" => seen == "DEADLINE_EXCEEDED",
                // The client cancelled between the request's headers and its message. tonic treats the
                // missing message as an invalid request.
                "INTERNAL" => {
                    ["CANCELLED", "DEADLINE_EXCEEDED"].contains(&seen) && server.status == SpanStatus::error(NO_MESSAGE)
                }
                _ => false,
            };
            assert!(agree, "{seen} and {there}: {client:?} {server:?}");
        }
        assert_eq!(arrived, servers.len(), "a server's span below no client's");
    });
}
