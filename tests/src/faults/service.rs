//! A service of all four kinds that does as its script says; with the attribute, and without.

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};

use super::unsteady::{AS_ASKED, field};
use crate::kinds::Message;
use crate::kinds::bidi_server::{Bidi, BidiServer};
use crate::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use crate::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use crate::kinds::unary_server::{Unary, UnaryServer};

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

/// Panics when it is dropped, but not within another panic, which would end the process.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "{AS_ASKED}");
    }
}

async fn act(text: &str) -> Result<Message, Status> {
    tokio::task::yield_now().await;
    match text {
        "panic" => panic!("{AS_ASKED}"),
        "panic in drop" => {
            let _bomb = Bomb;
            tokio::task::yield_now().await;
        }
        "hang" => std::future::pending().await,
        _ => {
            if let Some(code) = text.strip_prefix("fail ") {
                let code = Code::from_i32(code.parse().unwrap());
                return Err(Status::new(code, AS_ASKED));
            }
        }
    }
    Ok(Message::from(text))
}

async fn unary(text: &str) -> Result<Response<Message>, Status> {
    let text = text.strip_prefix("later ").unwrap_or(text);
    Ok(Response::new(act(text).await?))
}

/// 32 messages of 16 KiB: a window has 64.
fn at_length() -> Messages {
    let long = Message {
        text: "x".repeat(16 * 1024),
    };
    Box::pin(tokio_stream::iter(std::iter::repeat_n(long, 32)).map(Ok))
}

async fn stream(text: String) -> Result<Response<Messages>, Status> {
    let Some(later) = text.strip_prefix("later ") else {
        let first = act(&text).await?;
        let rest = if text == "reply at length" {
            at_length()
        } else {
            Box::pin(tokio_stream::empty())
        };
        return Ok(Response::new(Box::pin(tokio_stream::once(Ok(first)).chain(rest))));
    };
    let later = later.to_owned();
    let rest = if later == "reply at length" {
        at_length()
    } else {
        Box::pin(tokio_stream::empty())
    };
    let first = tokio_stream::once(Ok(Message::from("first")));
    let second = tokio_stream::once(later).then(|later| async move { act(&later).await });
    Ok(Response::new(Box::pin(first.chain(second).chain(rest))))
}

async fn first(request: Request<Streaming<Message>>) -> Result<String, Status> {
    let message = request.into_inner().message().await?;
    let message = message.ok_or_else(|| Status::invalid_argument("no message"))?;
    Ok(message.text)
}

macro_rules! services {
    ($(#[$about:meta])* $name:ident($request:ident), $([$attribute:meta], [$fields:meta])?) => {
        $(#[$about])*
        #[derive(Clone)]
        pub(super) struct $name;

        $(#[$attribute])?
        #[tonic::async_trait]
        impl Unary for $name {
            $(#[$fields])?
            async fn call(&self, $request: Request<Message>) -> Result<Response<Message>, Status> {
                unary(&$request.into_inner().text).await
            }
        }

        $(#[$attribute])?
        #[tonic::async_trait]
        impl ServerStream for $name {
            type CallStream = Messages;

            $(#[$fields])?
            async fn call(&self, $request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
                stream($request.into_inner().text).await
            }
        }

        $(#[$attribute])?
        #[tonic::async_trait]
        impl ClientStream for $name {
            $(#[$fields])?
            async fn call(&self, $request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
                unary(&first($request).await?).await
            }
        }

        $(#[$attribute])?
        #[tonic::async_trait]
        impl Bidi for $name {
            type CallStream = Messages;

            $(#[$fields])?
            async fn call(&self, $request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
                stream(first($request).await?).await
            }
        }

        impl $name {
            pub(super) fn routes() -> Routes {
                Routes::new(UnaryServer::new($name))
                    .add_service(ServerStreamServer::new($name))
                    .add_service(ClientStreamServer::new($name))
                    .add_service(BidiServer::new($name))
            }
        }
    };
}

services! {
    /// Without the attribute.
    Plain(request),
}

services! {
    /// With the attribute.
    Annotated(request),
    [traced_service], [traced(fields(field = field(request.metadata())))]
}
