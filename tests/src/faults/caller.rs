//! The callers of a round.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use otel_runtime::ClientLayer;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, StdError, http};
use tonic::service::{Interceptor, InterceptorLayer};
use tonic::transport::{Channel as Transport, Endpoint, Uri};
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::Round;
use super::exchange::{Channel, Replies, Reply, first, make, open, read};
use super::script::{CallerAction, ObservedEnd, Script};
use crate::server::RunningServer;

/// An RPC that has ended, with its script.
pub(super) struct CompletedCall {
    pub(super) script: Script,
    pub(super) reply: Reply,
    pub(super) seen: ObservedEnd,
}

/// The socket of a connection, through which a test can break it.
type Socket = Arc<Mutex<Option<TcpStream>>>;

/// A factory of channels, and the RPCs made through them.
#[derive(Clone)]
pub(super) struct Caller(Arc<Connect>);

type Connect = dyn Fn(SocketAddr, &Socket) -> Channel + Send + Sync;

impl Caller {
    pub(super) fn unrecorded() -> Self {
        Caller(Arc::new(|address, socket_slot| {
            let channel = ServiceBuilder::new()
                .map_response(boxed)
                .service(connect(address, socket_slot));
            BoxCloneService::new(channel.map_err(|error| Status::from_error(error.into())))
        }))
    }

    pub(super) fn recorded(layer: ClientLayer, counting: impl Interceptor + Clone + Send + Sync + 'static) -> Self {
        Caller(Arc::new(move |address, socket_slot| {
            let channel = ServiceBuilder::new()
                .map_response(boxed)
                .layer(InterceptorLayer::new(counting.clone()))
                .layer(layer.clone())
                .service(connect(address, socket_slot));
            BoxCloneService::new(channel.map_err(|error| Status::from_error(error.into())))
        }))
    }

    /// Makes all RPCs of a round, and returns them by caller, with the endless streams.
    ///
    /// The server shuts down while each caller has an unread response stream. A graceful shutdown
    /// completes these.
    pub(super) async fn make(&self, round: Round, server: RunningServer) -> (Vec<Vec<CompletedCall>>, Vec<Replies>) {
        let address = server.address;
        let mut random = Rng::with_seed(round.seed);
        let mut callers = JoinSet::new();
        for number in 0..round.callers {
            let (caller, random) = (self.clone(), random.fork());
            callers.spawn(async move {
                let (made, last) = caller.make_in_turn(round.rpcs, random, address).await;
                (number, made, last)
            });
        }
        let mut all = callers.join_all().await;
        all.sort_by_key(|(number, ..)| *number);
        drop(server);
        let (mut made, mut endless) = (Vec::new(), Vec::new());
        for (_, mut of_one, [unread, hanging]) in all {
            let (reply, seen) = read(unread, false).await;
            of_one.push(CompletedCall::new(Script::LONG, reply, seen));
            of_one.push(CompletedCall::new(
                Script::ENDLESS,
                Reply::Cancelled,
                ObservedEnd::CancelledAfterMessage,
            ));
            made.push(of_one);
            endless.push(hanging);
        }
        (made, endless)
    }

    async fn make_in_turn(
        &self,
        rpcs: u64,
        mut random: Rng,
        address: SocketAddr,
    ) -> (Vec<CompletedCall>, [Replies; 2]) {
        let channel = (self.0)(address, &Socket::default());
        let mut made = Vec::new();
        for _ in 0..rpcs {
            let script = Script::draw(&mut random);
            let (reply, seen) = match script.way {
                CallerAction::BreakConnection => self.cut(address, &script).await,
                CallerAction::BreakUpload(microseconds) => self.cut_upload(address, &script, microseconds).await,
                _ => make(channel.clone(), &script).await,
            };
            made.push(CompletedCall::new(script, reply, seen));
        }
        let unread = open(channel.clone(), &Script::LONG).await;
        let hanging = open(channel, &Script::ENDLESS).await;
        (made, [unread, hanging])
    }

    /// Makes an RPC on its own connection, and breaks that.
    async fn cut(&self, address: SocketAddr, script: &Script) -> (Reply, ObservedEnd) {
        let socket_slot = Socket::default();
        let mut replies = open((self.0)(address, &socket_slot), script).await;
        let (reply, mut seen) = first(&mut replies).await;
        if let Some(socket) = socket_slot.lock().unwrap().take() {
            socket.shutdown(std::net::Shutdown::Both).unwrap();
        }
        if seen == ObservedEnd::CancelledAfterMessage {
            (_, seen) = read(replies, false).await;
        }
        (reply, seen)
    }

    /// Makes an RPC on its own connection, and breaks that while the request is being sent.
    async fn cut_upload(&self, address: SocketAddr, script: &Script, microseconds: u64) -> (Reply, ObservedEnd) {
        let socket_slot = Socket::default();
        let channel = (self.0)(address, &socket_slot);
        let cut = async {
            while socket_slot.lock().unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_micros(microseconds)).await;
            let socket = socket_slot.lock().unwrap().take().unwrap();
            // The server may have closed it.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        };
        let read = async { read(open(channel, script).await, false).await };
        let ((_, seen), ()) = tokio::join!(read, cut);
        (Reply::Failed, seen)
    }
}

impl CompletedCall {
    fn new(script: Script, reply: Reply, seen: ObservedEnd) -> Self {
        CompletedCall { script, reply, seen }
    }
}

fn connect(address: SocketAddr, socket_slot: &Socket) -> Transport {
    let socket_slot = Arc::clone(socket_slot);
    let connector = service_fn(move |_: Uri| {
        let socket_slot = Arc::clone(&socket_slot);
        async move {
            let socket = TcpStream::connect(address)?;
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            *socket_slot.lock().unwrap() = Some(socket.try_clone()?);
            let socket = tokio::net::TcpStream::from_std(socket)?;
            Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(socket))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector)
}

fn boxed<B>(response: http::Response<B>) -> http::Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<StdError>> + Send + 'static,
{
    response.map(Body::new)
}
