//! The callers.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use otel_runtime::ClientLayer;
use tokio::task::JoinSet;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Body as HttpBody, Bytes, StdError, http};
use tonic::service::{Interceptor, InterceptorLayer};
use tonic::transport::{Channel as Transport, Endpoint, Uri};
use tonic::{Code, GrpcMethod, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::Round;
use super::script::{Act, Script, Way};
use super::unsteady::PANIC;
use crate::kinds::Message;
use crate::server::Running;

/// How an RPC ended, as far as that is the same each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// So many messages, and this status.
    Ended(usize, Code, String),
    /// It failed, one way or the other.
    Failed,
    /// The caller went away.
    GivenUp,
}

type Channel = BoxCloneService<http::Request<Body>, http::Response<Body>, Status>;
type Replies = Result<Streaming<Message>, Status>;

/// A connection that can be broken.
type Cable = Arc<Mutex<Option<TcpStream>>>;

/// Who makes RPCs.
#[derive(Clone)]
pub(super) struct Caller(Arc<Connect>);

type Connect = dyn Fn(SocketAddr, &Cable) -> Channel + Send + Sync;

impl Caller {
    pub(super) fn unrecorded() -> Self {
        Caller(Arc::new(|address, cable| {
            let channel = ServiceBuilder::new()
                .map_response(boxed)
                .service(connect(address, cable));
            BoxCloneService::new(channel.map_err(|error| Status::from_error(error.into())))
        }))
    }

    pub(super) fn recorded(layer: ClientLayer, counting: impl Interceptor + Clone + Send + Sync + 'static) -> Self {
        Caller(Arc::new(move |address, cable| {
            let channel = ServiceBuilder::new()
                .map_response(boxed)
                .layer(InterceptorLayer::new(counting.clone()))
                .layer(layer.clone())
                .service(connect(address, cable));
            BoxCloneService::new(channel.map_err(|error| Status::from_error(error.into())))
        }))
    }

    /// All of a round, one list for each caller; and streams that have no end.
    ///
    /// The server shuts down when each caller has a stream before it that it has not read, and which comes to its end all the same.
    pub(super) async fn make(&self, round: Round, server: Running) -> (Vec<Vec<Reply>>, Vec<Replies>) {
        let address = server.address;
        let mut random = Rng::with_seed(round.seed);
        let mut callers = JoinSet::new();
        for number in 0..round.callers {
            let (caller, random) = (self.clone(), random.fork());
            callers.spawn(async move {
                let (replies, last) = caller.make_in_turn(round.rpcs, random, address).await;
                (number, replies, last)
            });
        }
        let mut all = callers.join_all().await;
        all.sort_by_key(|(number, ..)| *number);
        drop(server);
        let (mut replies, mut endless) = (Vec::new(), Vec::new());
        for (_, mut of_one, [unread, hanging]) in all {
            of_one.push(read(unread, false).await);
            replies.push(of_one);
            endless.push(hanging);
        }
        (replies, endless)
    }

    async fn make_in_turn(&self, rpcs: u64, mut random: Rng, address: SocketAddr) -> (Vec<Reply>, [Replies; 2]) {
        let channel = (self.0)(address, &Cable::default());
        let mut replies = Vec::new();
        for _ in 0..rpcs {
            let script = Script::draw(&mut random);
            replies.push(if script.way == Way::Cut {
                self.cut(address, &script).await
            } else {
                make(channel.clone(), &script).await
            });
        }
        let unread = open(channel.clone(), &Script::LONG).await;
        let hanging = open(channel, &Script::ENDLESS).await;
        (replies, [unread, hanging])
    }

    /// On a connection of its own, which breaks.
    async fn cut(&self, address: SocketAddr, script: &Script) -> Reply {
        let cable = Cable::default();
        let mut replies = open((self.0)(address, &cable), script).await;
        let first = first(&mut replies).await;
        if let Some(socket) = cable.lock().unwrap().take() {
            socket.shutdown(std::net::Shutdown::Both).unwrap();
        }
        assert_ne!(read(replies, false).await, Reply::GivenUp);
        first
    }
}

fn connect(address: SocketAddr, cable: &Cable) -> Transport {
    let cable = Arc::clone(cable);
    let connector = service_fn(move |_: Uri| {
        let cable = Arc::clone(&cable);
        async move {
            let socket = TcpStream::connect(address)?;
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            *cable.lock().unwrap() = Some(socket.try_clone()?);
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

async fn make(channel: Channel, script: &Script) -> Reply {
    match script.way {
        Way::GoAway(microseconds) => {
            let all = async { read(open(channel, script).await, false).await };
            let _ = tokio::time::timeout(Duration::from_micros(microseconds), all).await;
            Reply::GivenUp
        }
        Way::GoAwayLater | Way::Cut => first(&mut open(channel, script).await).await,
        Way::Deadline(_) => match read(open(channel, script).await, false).await {
            Reply::Ended(_, code, _) if code != Code::Ok => Reply::Failed,
            other => other,
        },
        Way::Read | Way::ReadSlowly | Way::KeepOpen | Way::SendNothing => {
            let reply = read(open(channel, script).await, script.way == Way::ReadSlowly).await;
            match (script.act, reply) {
                // A stream that is reset takes along what was on its way.
                (Act::Panic | Act::PanicInDrop, Reply::Ended(_, code, _)) if code != Code::Ok => Reply::Failed,
                (_, reply) => reply,
            }
        }
    }
}

async fn open(channel: Channel, script: &Script) -> Replies {
    let message = tokio_stream::once(Message::from(&*script.text()));
    let mut request = Request::new(match script.way {
        Way::SendNothing => stream(tokio_stream::empty()),
        Way::KeepOpen => stream(message.chain(tokio_stream::pending())),
        _ => stream(message),
    });
    if let Some(function) = script.panics {
        request.metadata_mut().insert(PANIC, function.parse().unwrap());
    }
    if let Way::Deadline(milliseconds) = script.way {
        request.set_timeout(Duration::from_millis(milliseconds));
    }
    let mut path = script.kind.method();
    if script.path_is_unknown {
        path = "kinds.Unary/Nothing";
    } else {
        let (service, method) = path.split_once('/').unwrap();
        request.extensions_mut().insert(GrpcMethod::new(service, method));
    }
    let mut client = Grpc::new(channel);
    client.ready().await?;
    let path = PathAndQuery::try_from(format!("/{path}")).unwrap();
    let response = client.streaming(request, path, ProstCodec::default()).await?;
    Ok(response.into_inner())
}

type Messages = std::pin::Pin<Box<dyn Stream<Item = Message> + Send>>;

fn stream(messages: impl Stream<Item = Message> + Send + 'static) -> Messages {
    Box::pin(messages)
}

/// Reads to the end.
async fn read(replies: Replies, slowly: bool) -> Reply {
    let mut messages = 0;
    let read = async {
        let mut replies = replies?;
        while replies.message().await?.is_some() {
            messages += 1;
            if slowly {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
        Ok(())
    };
    let end: Status = read.await.err().unwrap_or_else(|| Status::new(Code::Ok, ""));
    Reply::Ended(messages, end.code(), end.message().to_owned())
}

/// Reads one message, and no more.
async fn first(replies: &mut Replies) -> Reply {
    let Ok(replies) = replies else { return Reply::Failed };
    match replies.message().await {
        Ok(Some(_)) => Reply::GivenUp,
        _ => Reply::Failed,
    }
}
