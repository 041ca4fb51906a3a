//! A single RPC of a caller: the request, and what it reads of the response.

use std::convert::Infallible;
use std::time::Duration;

use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Bytes, http};
use tonic::metadata::MetadataValue;
use tonic::{Code, GrpcMethod, Request, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::ServiceExt;
use tower::util::BoxCloneService;

use super::between::{CATCH, PAGE};
use super::faulty::PANIC;
use super::script::{CallerAction, ObservedEnd, Script, ServerAction};
use crate::kinds::Message;

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

pub(super) type Channel = BoxCloneService<http::Request<Body>, http::Response<Body>, Status>;
pub(super) type Replies = Result<Streaming<Message>, Status>;

/// Makes an RPC.
pub(super) async fn make(channel: Channel, script: &Script) -> (Reply, ObservedEnd) {
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

pub(super) async fn open(channel: Channel, script: &Script) -> Replies {
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
pub(super) async fn read(replies: Replies, slowly: bool) -> (Reply, ObservedEnd) {
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
pub(super) async fn first(replies: &mut Replies) -> (Reply, ObservedEnd) {
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
