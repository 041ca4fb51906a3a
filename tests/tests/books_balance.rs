//! However many RPCs end in whatever ways, the books balance: what started has ended, once.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use otel_runtime::traced_service;
use tests::kinds::Message;
use tests::kinds::bidi_client::BidiClient;
use tests::kinds::bidi_server::{Bidi, BidiServer};
use tests::kinds::client_stream_client::ClientStreamClient;
use tests::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use tests::kinds::server_stream_client::ServerStreamClient;
use tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use tests::kinds::unary_client::UnaryClient;
use tests::kinds::unary_server::{Unary, UnaryServer};
use tests::server::serve;
use tests::telemetry::{Attributes, Telemetry, attributes};
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

const RPCS: u64 = 10_000;
const AT_ONCE: u64 = 8;

/// Counts the calls that reach it, and does as the request says.
#[derive(Clone, Default)]
struct Mixed {
    calls: Arc<AtomicU64>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

impl Mixed {
    /// Before anything else, so that it counts what the attribute counts.
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

    /// A stream that does it at its second item.
    async fn handle_in_stream(text: String) -> Result<Response<Messages>, Status> {
        let first = Mixed::handle("").await;
        let second = tokio_stream::once(text).then(|text| async move { Mixed::handle(&text).await });
        Ok(Response::new(Box::pin(tokio_stream::once(first).chain(second))))
    }
}

async fn first_text(request: Request<Streaming<Message>>) -> Result<String, Status> {
    Ok(request.into_inner().message().await?.unwrap_or_default().text)
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Mixed {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.count();
        Ok(Response::new(Mixed::handle(&request.into_inner().text).await?))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Mixed {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        self.count();
        Mixed::handle_in_stream(request.into_inner().text).await
    }
}

#[traced_service]
#[tonic::async_trait]
impl ClientStream for Mixed {
    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
        self.count();
        let text = first_text(request).await?;
        Ok(Response::new(Mixed::handle(&text).await?))
    }
}

#[traced_service]
#[tonic::async_trait]
impl Bidi for Mixed {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
        self.count();
        let text = first_text(request).await?;
        Mixed::handle_in_stream(text).await
    }
}

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

async fn call(channel: Channel, kind: u64, text: &str) {
    let message = Message::from(text);
    let _ = match kind {
        0 => UnaryClient::new(channel).call(message).await.map(drop),
        1 => match ServerStreamClient::new(channel).call(message).await {
            Ok(replies) => read(replies.into_inner()).await,
            Err(status) => Err(status),
        },
        2 => ClientStreamClient::new(channel)
            .call(tokio_stream::once(message))
            .await
            .map(drop),
        _ => match BidiClient::new(channel).call(tokio_stream::once(message)).await {
            Ok(replies) => read(replies.into_inner()).await,
            Err(status) => Err(status),
        },
    };
}

async fn read(mut replies: Streaming<Message>) -> Result<(), Status> {
    while replies.message().await?.is_some() {}
    Ok(())
}

/// One in a hundred panics, three in ten are given up at a random moment, one in ten fails.
async fn one(channel: Channel, numbers: &mut Numbers) {
    let kind = numbers.below(4);
    match numbers.below(100) {
        0 => call(channel, kind, "panic").await,
        1..31 => {
            let text = if numbers.below(2) == 0 { "hang" } else { "" };
            let moment = if text == "hang" {
                1 + numbers.below(2000)
            } else {
                numbers.below(600)
            };
            let _ = tokio::time::timeout(Duration::from_micros(moment), call(channel, kind, text)).await;
        }
        31..41 => call(channel, kind, "fail").await,
        _ => call(channel, kind, "").await,
    }
}

async fn drive(service: Mixed) {
    let routes = Routes::new(UnaryServer::new(service.clone()))
        .add_service(ServerStreamServer::new(service.clone()))
        .add_service(ClientStreamServer::new(service.clone()))
        .add_service(BidiServer::new(service));
    let server = serve(routes).await;
    let mut workers = JoinSet::new();
    for worker in 1..=AT_ONCE {
        let channel = server.channel().await;
        workers.spawn(async move {
            let mut numbers = Numbers(worker.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            for _ in 0..RPCS / AT_ONCE {
                one(channel.clone(), &mut numbers).await;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.unwrap();
    }
}

#[test]
fn after_ten_thousand_mixed_rpcs() {
    // A hundred backtraces of panics that are meant to be would hide one that is not.
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload().downcast_ref() != Some(&"as asked") {
            eprintln!("{panic}");
        }
    }));
    let telemetry = Telemetry::start();
    let service = Mixed::default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(drive(service.clone()));
    // Whatever is still going on ends with its task.
    drop(runtime);

    let rpcs = service.calls.load(Ordering::Relaxed);
    let spans = telemetry.ended_spans();
    let metrics = telemetry.metrics();
    assert_eq!(telemetry.started() as u64, rpcs);
    assert_eq!(spans.len() as u64, rpcs);
    assert_eq!(metrics.duration_count(), rpcs);
    // Only those that were given up before they arrived are missing.
    assert!(rpcs <= RPCS && rpcs > RPCS * 8 / 10, "{rpcs} RPCs reached the service");

    let active = metrics.active_requests();
    assert_eq!(active.len(), 4);
    for (method, active) in active {
        assert_eq!(active, 0, "{method:?}");
    }

    // Each kind of end did occur, and spans and metrics agree on how often.
    let ends = |found: &Attributes| (found["rpc.status_code"].clone(), found.get("error.type").cloned());
    let mut by_end = BTreeMap::new();
    for span in &spans {
        *by_end.entry(ends(&attributes(&span.attributes))).or_insert(0) += 1;
    }
    let mut measured = BTreeMap::new();
    for (point, count, _) in metrics.durations() {
        *measured.entry(ends(&point)).or_insert(0) += count;
    }
    assert_eq!(by_end, measured);
    let kinds: Vec<_> = by_end
        .keys()
        .map(|(code, error)| (code.as_str(), error.as_deref()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("CANCELLED", None),
            ("INTERNAL", Some("INTERNAL")),
            ("OK", None),
            ("UNKNOWN", Some("panic"))
        ],
        "{by_end:?}"
    );
}
