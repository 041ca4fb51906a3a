//! The ways to instrument a server, and services of all kinds with and without the attribute.
//!
//! The services follow the script in the first message of a request.

use std::pin::Pin;
use std::sync::Arc;

use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};
use otel_runtime::{ServerLayer, traced_service};
use tokio::sync::Notify;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::kinds::Message;
use crate::kinds::bidi_server::{Bidi, BidiServer};
use crate::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use crate::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use crate::kinds::unary_server::{Unary, UnaryServer};
use crate::server::{RunningServer, serve, serve_with};

/// The full method names, one of each kind of RPC.
pub const RPCS: [&str; 4] = [
    "kinds.Unary/Call",
    "kinds.ServerStream/Call",
    "kinds.ClientStream/Call",
    "kinds.Bidi/Call",
];

/// The methods whose response is a stream.
pub const STREAMING: [&str; 2] = ["kinds.ServerStream/Call", "kinds.Bidi/Call"];

/// The handlers of the services, which do as a text says:
///
/// * a number: fails with that code, and a message that names it, or succeeds if it is 0,
/// * `wait`: returns when it is [released](ScriptedHandler::release),
/// * `hold`: like `wait`, and starts a span `child` when it is dropped,
/// * `panic`: panics,
/// * `span`: starts a span `child`,
/// * `torn`: fails after the only message of a response stream,
/// * anything else: succeeds.
///
/// With the prefix `later `, it does so after the first message of the response stream. Without
/// the prefix, a response stream has one message.
#[derive(Clone, Debug, Default)]
pub struct ScriptedHandler {
    waiting: Arc<Notify>,
    released: Arc<Notify>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

impl ScriptedHandler {
    /// Returns when a call waits.
    pub async fn waits(&self) {
        self.waiting.notified().await;
    }

    /// Lets one waiting call return.
    pub fn release(&self) {
        self.released.notify_one();
    }

    async fn obey(&self, text: &str) -> Result<Message, Status> {
        // Yield first: the context must be current on later polls, too.
        tokio::task::yield_now().await;
        match text {
            "wait" | "hold" => {
                let _held = (text == "hold").then(|| Held);
                self.waiting.notify_one();
                self.released.notified().await;
            }
            "panic" => panic!("as asked"),
            "span" => drop(Held),
            text => match text.parse() {
                Ok(0) | Err(_) => {}
                Ok(code) => return Err(Status::new(Code::from_i32(code), format!("as asked: {code}"))),
            },
        }
        Ok(Message::from(text))
    }

    async fn unary(&self, message: Message) -> Result<Response<Message>, Status> {
        Ok(Response::new(self.obey(&message.text).await?))
    }

    async fn stream(&self, message: Message) -> Result<Response<Messages>, Status> {
        if message.text == "torn" {
            let torn = [Ok(message), Err(Status::data_loss("torn"))];
            return Ok(Response::new(Box::pin(tokio_stream::iter(torn))));
        }
        let Some(later) = message.text.strip_prefix("later ") else {
            let message = self.obey(&message.text).await?;
            return Ok(Response::new(Box::pin(tokio_stream::once(Ok(message)))));
        };
        let (handler, later) = (self.clone(), later.to_owned());
        let first = tokio_stream::once(Ok(Message::from("first")));
        let second = tokio_stream::once(()).then(move |()| {
            let (handler, later) = (handler.clone(), later.clone());
            async move { handler.obey(&later).await }
        });
        Ok(Response::new(Box::pin(first.chain(second))))
    }
}

struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        global::tracer("app").start("child").end();
    }
}

async fn first(request: Request<Streaming<Message>>) -> Result<Message, Status> {
    let message = request.into_inner().message().await?;
    message.ok_or_else(|| Status::invalid_argument("no message"))
}

macro_rules! services {
    ($(#[$about:meta])* $name:ident, $(#[$attribute:meta])*) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub struct $name(pub ScriptedHandler);

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Unary for $name {
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                self.0.unary(request.into_inner()).await
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl ServerStream for $name {
            type CallStream = Messages;

            async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
                self.0.stream(request.into_inner()).await
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl ClientStream for $name {
            async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
                self.0.unary(first(request).await?).await
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Bidi for $name {
            type CallStream = Messages;

            async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
                self.0.stream(first(request).await?).await
            }
        }

        impl $name {
            /// Returns routes with all four services.
            #[must_use]
            pub fn routes(handler: &ScriptedHandler) -> Routes {
                let services = $name(handler.clone());
                Routes::new(UnaryServer::new(services.clone()))
                    .add_service(ServerStreamServer::new(services.clone()))
                    .add_service(ClientStreamServer::new(services.clone()))
                    .add_service(BidiServer::new(services))
            }
        }
    };
}

services! {
    /// Services without `#[traced_service]`.
    Plain,
}

services! {
    /// Services with `#[traced_service]`.
    Annotated,
    #[traced_service]
}

/// The ways to instrument a server.
///
/// RPCs that reach a handler are recorded alike with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Only the attribute.
    Attribute,
    /// Only the layer, with the methods registered as known.
    Layer,
    /// The layer and the attribute.
    Both,
}

impl Coverage {
    /// All variants.
    pub const ALL: [Coverage; 3] = [Coverage::Attribute, Coverage::Layer, Coverage::Both];

    /// Serves all four services, instrumented in this way.
    pub async fn serve(self, handler: &ScriptedHandler) -> RunningServer {
        let layer = ServerLayer::new();
        match self {
            Coverage::Attribute => serve(Annotated::routes(handler)).await,
            Coverage::Layer => {
                let server = Server::builder().layer(layer.known_methods(RPCS));
                serve_with(server, Plain::routes(handler)).await
            }
            Coverage::Both => serve_with(Server::builder().layer(layer), Annotated::routes(handler)).await,
        }
    }
}
