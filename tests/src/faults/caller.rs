//! The callers of a round.

use std::convert::Infallible;
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
use tonic::metadata::MetadataValue;
use tonic::service::{Interceptor, InterceptorLayer};
use tonic::transport::{Channel as Transport, Endpoint, Uri};
use tonic::{Code, GrpcMethod, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::Round;
use super::between::{CATCH, PAGE};
use super::faulty::PANIC;
use super::script::{CallerAction, ObservedEnd, Script, ServerAction};
use crate::kinds::Message;
use crate::server::RunningServer;

/// The outcome of an RPC, reduced to the part that is deterministic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The number of messages, and the status.
    Ended(usize, Code, String),
    /// The RPC failed, with a status that varies.
    Failed,
    /// The caller cancelled the RPC.
    Cancelled,
}

/// An RPC that has ended, with its script.
pub(super) struct CompletedCall {
    pub(super) script: Script,
    pub(super) reply: Reply,
    pub(super) seen: ObservedEnd,
}

type Channel = BoxCloneService<http::Request<Body>, http::Response<Body>, Status>;
type Replies = Result<Streaming<Message>, Status>;

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

async fn make(channel: Channel, script: &Script) -> (Reply, ObservedEnd) {
    match script.way {
        CallerAction::CancelAfter(microseconds)
        | CallerAction::ResetUpload(microseconds)
        | CallerAction::HalfMessage(microseconds) => {
            let all = async {
                if matches!(script.way, CallerAction::HalfMessage(_)) {
                    return send_half(channel, script).await;
                }
                read(open(channel, script).await, false).await
            };
            let all = tokio::time::timeout(Duration::from_micros(microseconds), all).await;
            (
                Reply::Cancelled,
                all.map_or(ObservedEnd::CancelledAnytime, |(_, seen)| seen),
            )
        }
        CallerAction::CancelAfterMessage | CallerAction::BreakConnection | CallerAction::BreakUpload(_) => {
            first(&mut open(channel, script).await).await
        }
        CallerAction::Deadline(_) => match read(open(channel, script).await, false).await {
            (Reply::Ended(_, code, _), seen) if code != Code::Ok => (Reply::Failed, seen),
            other => other,
        },
        CallerAction::Read
        | CallerAction::ReadSlowly
        | CallerAction::KeepOpen
        | CallerAction::SendNothing
        | CallerAction::Refuse
        | CallerAction::ReadPage
        | CallerAction::ReadCaught => {
            let (reply, seen) = read(open(channel, script).await, script.way == CallerAction::ReadSlowly).await;
            let reply = match (script.act, reply) {
                // A reset stream loses messages in flight, so their number varies.
                (ServerAction::Panic | ServerAction::PanicInDrop, Reply::Ended(_, code, _)) if code != Code::Ok => {
                    Reply::Failed
                }
                (_, reply) => reply,
            };
            (reply, seen)
        }
    }
}

async fn open(channel: Channel, script: &Script) -> Replies {
    let message = tokio_stream::once(Message::from(&*script.text()));
    let mut request = Request::new(match script.way {
        CallerAction::SendNothing => stream(tokio_stream::empty()),
        CallerAction::KeepOpen | CallerAction::ResetUpload(_) | CallerAction::BreakUpload(_) => {
            stream(message.chain(tokio_stream::pending()))
        }
        _ => stream(message),
    });
    if let Some(function) = script.panics {
        request.metadata_mut().insert(PANIC, function.parse().unwrap());
    }
    match script.way {
        CallerAction::Deadline(milliseconds) => request.set_timeout(Duration::from_millis(milliseconds)),
        CallerAction::ReadPage => drop(request.metadata_mut().insert(PAGE, MetadataValue::from_static("1"))),
        CallerAction::ReadCaught => drop(request.metadata_mut().insert(CATCH, MetadataValue::from_static("1"))),
        _ => {}
    }
    let (path, method) = method(script);
    if let Some(method) = method {
        request.extensions_mut().insert(method);
    }
    let mut client = Grpc::new(channel);
    if script.way == CallerAction::Refuse {
        client = client.max_decoding_message_size(1000);
    }
    client.ready().await?;
    let path = PathAndQuery::try_from(format!("/{path}")).unwrap();
    let response = client.streaming(request, path, ProstCodec::default()).await?;
    Ok(response.into_inner())
}

/// Returns the path of an RPC, and its method if that exists.
fn method(script: &Script) -> (&'static str, Option<GrpcMethod<'static>>) {
    if script.path_is_unknown {
        return ("kinds.Unary/Nothing", None);
    }
    let path = script.kind.method();
    let (service, method) = path.split_once('/').unwrap();
    (path, Some(GrpcMethod::new(service, method)))
}

/// Sends half a message, and waits for the response, which only an unknown method has.
async fn send_half(channel: Channel, script: &Script) -> (Reply, ObservedEnd) {
    let half = tokio_stream::once(Ok::<_, Infallible>(Bytes::from_static(b"\0\0\0\0\x0a\x0a")));
    let body = axum::body::Body::from_stream(half.chain(tokio_stream::pending()));
    let (path, method) = method(script);
    let mut request = http::Request::post(format!("http://localhost/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(body))
        .unwrap();
    if let Some(method) = method {
        request.extensions_mut().insert(method);
    }
    let response = channel.oneshot(request).await;
    let code = response.map_or_else(
        |status| status.code(),
        |response| Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code()),
    );
    (Reply::Cancelled, ObservedEnd::Code(code))
}

type Messages = std::pin::Pin<Box<dyn Stream<Item = Message> + Send>>;

fn stream(messages: impl Stream<Item = Message> + Send + 'static) -> Messages {
    Box::pin(messages)
}

/// Reads a response to its end.
async fn read(replies: Replies, slowly: bool) -> (Reply, ObservedEnd) {
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
    let reply = Reply::Ended(messages, end.code(), end.message().to_owned());
    (reply, ObservedEnd::Code(end.code()))
}

/// Reads one message.
async fn first(replies: &mut Replies) -> (Reply, ObservedEnd) {
    let first = match replies {
        Ok(replies) => replies.message().await,
        Err(status) => Err(status.clone()),
    };
    match first {
        Ok(Some(_)) => (Reply::Cancelled, ObservedEnd::CancelledAfterMessage),
        Ok(None) => (Reply::Failed, ObservedEnd::Code(Code::Ok)),
        Err(status) => (Reply::Failed, ObservedEnd::Code(status.code())),
    }
}
