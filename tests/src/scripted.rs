//! Services of all four kinds that follow the script in the request.

use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};
use otel_runtime::traced_service;
use tokio::sync::Notify;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::kinds::Message;
use crate::kinds::bidi_server::{Bidi, BidiServer};
use crate::kinds::client_stream_server::{ClientStream, ClientStreamServer};
use crate::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use crate::kinds::unary_server::{Unary, UnaryServer};
use crate::telemetry::Shared;

/// The length of a text that exceeds the usual limit of messages, 4 MiB.
pub const LARGE: usize = 5 << 20;

/// The handlers of the services, which do as the text of the first message says.
///
/// Any other text is echoed. The scripts are:
///
/// * a number: fails with that code and the message `as asked: 5`, or succeeds if it is 0;
/// * `wait`: replies when it is [released](ScriptedService::release);
/// * `hold`: like `wait`, and starts a span `child` when it is dropped;
/// * `panic`: panics with `as asked`;
/// * `span`: starts a span `child`;
/// * `large`: replies with [`LARGE`] bytes;
/// * `torn`: fails after the only message of a response stream;
/// * `later 5`, `later wait`, …: does so after the first message of a response stream.
#[derive(Clone, Debug, Default)]
pub struct ScriptedService {
    waiting: Arc<Notify>,
    released: Arc<Notify>,
    calls: Arc<AtomicU64>,
    /// The metadata of the first 100 calls.
    pub metadata: Shared<Vec<MetadataMap>>,
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

impl ScriptedService {
    /// Returns routes with all four services, without `#[traced_service]`.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Plain::routes(self)
    }

    /// Returns routes with all four services, all of which reply with a stream.
    ///
    /// So unary and client-streaming RPCs can fail after their reply, too.
    #[must_use]
    pub fn routes_of_streams(&self) -> Routes {
        let plain = || Plain(self.clone());
        let unary = As::<_, UnaryServer<Plain>>::new(ServerStreamServer::new(plain()));
        let client_stream = As::<_, ClientStreamServer<Plain>>::new(BidiServer::new(plain()));
        Routes::new(unary)
            .add_service(ServerStreamServer::new(plain()))
            .add_service(client_stream)
            .add_service(BidiServer::new(plain()))
    }

    /// Returns when a call waits.
    pub async fn waits(&self) {
        self.waiting.notified().await;
    }

    /// Lets one waiting call return.
    pub fn release(&self) {
        self.released.notify_one();
    }

    /// Forgets a release that came when no call waited.
    pub async fn forget_release(&self) {
        tokio::select! {
            biased;
            () = self.released.notified() => {}
            () = std::future::ready(()) => {}
        }
    }

    /// Returns the number of calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns the metadata of the request, and asserts that there was only one.
    #[must_use]
    pub fn only_metadata(&self) -> MetadataMap {
        let metadata = self.metadata.lock().unwrap();
        assert_eq!(metadata.len(), 1, "{metadata:?}");
        metadata[0].clone()
    }

    fn called<T>(&self, request: &Request<T>) {
        if self.calls.fetch_add(1, Ordering::Relaxed) < 100 {
            self.metadata.lock().unwrap().push(request.metadata().clone());
        }
    }

    async fn obey(&self, text: &str) -> Result<Message, Status> {
        // Yield first: the context must be current on later polls, too.
        tokio::task::yield_now().await;
        match text {
            "wait" | "hold" => {
                let _held = (text == "hold").then(|| Held);
                // Several releases may come at once, and are not counted: be there for the first.
                let mut released = pin!(self.released.notified());
                released.as_mut().enable();
                self.waiting.notify_one();
                released.await;
            }
            "panic" => panic!("as asked"),
            "span" => drop(Held),
            "large" => return Ok(Message::from(&*"x".repeat(LARGE))),
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
        let (service, later) = (self.clone(), later.to_owned());
        let first = tokio_stream::once(Ok(Message::from("first")));
        let second = tokio_stream::once(()).then(move |()| {
            let (service, later) = (service.clone(), later.clone());
            async move { service.obey(&later).await }
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
    Ok(request.into_inner().message().await?.unwrap_or_default())
}

macro_rules! services {
    ($(#[$about:meta])* $name:ident, $(#[$attribute:meta])*) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default)]
        pub struct $name(pub ScriptedService);

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Unary for $name {
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                self.0.called(&request);
                self.0.unary(request.into_inner()).await
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl ServerStream for $name {
            type CallStream = Messages;

            async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
                self.0.called(&request);
                self.0.stream(request.into_inner()).await
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl ClientStream for $name {
            async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
                self.0.called(&request);
                self.0.unary(first(request).await?).await
            }
        }

        $(#[$attribute])*
        #[tonic::async_trait]
        impl Bidi for $name {
            type CallStream = Messages;

            async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Self::CallStream>, Status> {
                self.0.called(&request);
                self.0.stream(first(request).await?).await
            }
        }

        impl $name {
            /// Returns routes with all four services.
            #[must_use]
            pub fn routes(service: &ScriptedService) -> Routes {
                let services = $name(service.clone());
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

/// Wraps the service `S`, and serves it under the name of `N`.
#[derive(Debug)]
struct As<S, N> {
    service: S,
    named: PhantomData<fn() -> N>,
}

impl<S, N> As<S, N> {
    fn new(service: S) -> Self {
        As {
            service,
            named: PhantomData,
        }
    }
}

impl<S: Clone, N> Clone for As<S, N> {
    fn clone(&self) -> Self {
        As::new(self.service.clone())
    }
}

impl<S, N: NamedService> NamedService for As<S, N> {
    const NAME: &'static str = N::NAME;
}

impl<S, N> Service<http::Request<Body>> for As<S, N>
where
    S: Service<http::Request<Body>> + NamedService,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> S::Future {
        *request.uri_mut() = http::Uri::try_from(format!("/{}/Call", S::NAME)).unwrap();
        self.service.call(request)
    }
}
