//! Services of all four kinds that follow a script, with and without the attribute.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use otel_runtime::{Instrumentation, traced_service};
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};

use super::faulty::{INTENDED, field};
use crate::kinds::Message;
use crate::kinds::bidi_server::{Bidi, BidiServer};
use crate::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use crate::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use crate::kinds::unary_server::{Unary, UnaryServer};

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// A value that panics when it is dropped, except during another panic, which would abort.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "{INTENDED}");
    }
}

async fn act(text: &str) -> Result<Message, Status> {
    // `panic` panics on the first poll, everything else acts on a later one.
    if text != "panic" {
        tokio::task::yield_now().await;
    }
    match text {
        "panic" => panic!("{INTENDED}"),
        "panic in drop" => {
            let _bomb = Bomb;
            tokio::task::yield_now().await;
        }
        "hang" => std::future::pending().await,
        // More than an HTTP/2 frame.
        "reply large" => return Ok(Message::from(&*"x".repeat(20_000))),
        _ => {
            if let Some(code) = text.strip_prefix("fail ") {
                let code = Code::from_i32(code.parse().unwrap());
                return Err(Status::new(code, INTENDED));
            }
        }
    }
    Ok(Message::from(text))
}

async fn unary(text: &str) -> Result<Response<Message>, Status> {
    let text = text.strip_prefix("later ").unwrap_or(text);
    Ok(Response::new(act(text).await?))
}

/// Returns the messages of a reply that follow the first one.
///
/// A long reply has 32 more of 16 KiB: more than a flow-control window of 64 KiB.
fn rest_of(reply: &str) -> Messages {
    if reply != "reply at length" {
        return Box::pin(tokio_stream::empty());
    }
    let long = Message {
        text: "x".repeat(16 * 1024),
    };
    Box::pin(tokio_stream::iter(std::iter::repeat_n(long, 32)).map(Ok))
}

async fn stream(text: String) -> Result<Response<Messages>, Status> {
    let Some(later) = text.strip_prefix("later ") else {
        let first = act(&text).await?;
        return Ok(Response::new(Box::pin(
            tokio_stream::once(Ok(first)).chain(rest_of(&text)),
        )));
    };
    let later = later.to_owned();
    let rest = rest_of(&later);
    let first = tokio_stream::once(Ok(Message::from("first")));
    let second = tokio_stream::once(later).then(|later| async move { act(&later).await });
    Ok(Response::new(Box::pin(first.chain(second).chain(rest))))
}

async fn first(request: Request<Streaming<Message>>) -> Result<String, Status> {
    let mut messages = request.into_inner();
    let message = messages.message().await?;
    let message = message.ok_or_else(|| Status::invalid_argument("no message"))?;
    if message.text.ends_with("read all") {
        while messages.message().await?.is_some() {}
    }
    Ok(message.text)
}

/// A service without the attribute.
#[derive(Clone)]
pub(super) struct Plain;

/// A service with the attribute.
#[derive(Clone)]
pub(super) struct Annotated {
    instrumentation: Instrumentation,
    /// The number of RPCs that have reached a handler.
    reached: Arc<AtomicU64>,
}

impl Annotated {
    pub(super) fn new(instrumentation: &Instrumentation, reached: &Arc<AtomicU64>) -> Self {
        Annotated {
            instrumentation: instrumentation.clone(),
            reached: Arc::clone(reached),
        }
    }

    /// Counts the RPC: the attribute evaluates this expression first, once per RPC.
    fn instrumentation(&self) -> Instrumentation {
        self.reached.fetch_add(1, Ordering::Relaxed);
        self.instrumentation.clone()
    }
}

macro_rules! services {
    ($name:ident($self:ident, $request:ident), $([$attribute:meta], [$fields:meta])?) => {
        $(#[$attribute])?
        #[tonic::async_trait]
        impl Unary for $name {
            $(#[$fields])?
            async fn call(&$self, $request: Request<Message>) -> Result<Response<Message>, Status> {
                unary(&$request.into_inner().text).await
            }
        }

        $(#[$attribute])?
        #[tonic::async_trait]
        impl ServerStream for $name {
            type CallStream = Messages;

            $(#[$fields])?
            async fn call(&$self, $request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
                stream($request.into_inner().text).await
            }
        }

        $(#[$attribute])?
        #[tonic::async_trait]
        impl ClientStream for $name {
            $(#[$fields])?
            async fn call(&$self, $request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
                unary(&first($request).await?).await
            }
        }

        $(#[$attribute])?
        #[tonic::async_trait]
        impl Bidi for $name {
            type CallStream = Messages;

            $(#[$fields])?
            async fn call(&$self, $request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
                stream(first($request).await?).await
            }
        }

        impl $name {
            pub(super) fn routes(self) -> Routes {
                Routes::new(UnaryServer::new(self.clone()))
                    .add_service(ServerStreamServer::new(self.clone()))
                    .add_service(ClientStreamServer::new(self.clone()))
                    .add_service(BidiServer::new(self))
            }
        }
    };
}

services! {
    Plain(self, request),
}

services! {
    Annotated(self, request),
    [traced_service(instrumentation = self.instrumentation())],
    [traced(fields(field = field(request.metadata())))]
}
