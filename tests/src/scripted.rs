//! A service of all four kinds that does what it is told, and that nobody records.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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

/// Does what the text of the first message says, and replies with that text if it is none of these:
///
/// * `fail`: fails with [`failure`], before any response;
/// * `code 5`: fails with this code and the message `as asked: 5`, or succeeds with the code 0;
/// * `wait`: never replies;
/// * `panic`: panics;
/// * `fail later`, `code 5 later`, …: the same, behind the first message of a stream.
#[derive(Clone, Debug, Default)]
pub struct ScriptedService {
    /// Told of each RPC that now waits.
    pub waiting: Arc<Notify>,
    /// The metadata of each request.
    pub metadata: Shared<Vec<MetadataMap>>,
}

/// The status that an [`ScriptedService`] service fails with.
#[must_use]
pub fn failure() -> Status {
    Status::not_found("nothing of that name")
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

impl ScriptedService {
    /// All four services.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::new(UnaryServer::new(self.clone()))
            .add_service(ServerStreamServer::new(self.clone()))
            .add_service(ClientStreamServer::new(self.clone()))
            .add_service(BidiServer::new(self.clone()))
    }

    /// All four services, of which those that reply with one message do so as a stream does. So
    /// they, too, can fail behind their reply.
    #[must_use]
    pub fn routes_of_streams(&self) -> Routes {
        let unary = As::<_, UnaryServer<ScriptedService>>::new(ServerStreamServer::new(self.clone()));
        let client_stream = As::<_, ClientStreamServer<ScriptedService>>::new(BidiServer::new(self.clone()));
        Routes::new(unary)
            .add_service(ServerStreamServer::new(self.clone()))
            .add_service(client_stream)
            .add_service(BidiServer::new(self.clone()))
    }

    /// The metadata of the one request that came.
    #[must_use]
    pub fn only_metadata(&self) -> MetadataMap {
        let metadata = self.metadata.lock().unwrap();
        assert_eq!(metadata.len(), 1, "{metadata:?}");
        metadata[0].clone()
    }

    fn came<T>(&self, request: &Request<T>) {
        self.metadata.lock().unwrap().push(request.metadata().clone());
    }

    async fn obey(&self, text: &str) -> Result<(), Status> {
        match text {
            "fail" => Err(failure()),
            "panic" => panic!("as asked"),
            "wait" => {
                self.waiting.notify_one();
                std::future::pending().await
            }
            _ => match text.strip_prefix("code ").and_then(|code| code.parse().ok()) {
                None | Some(0) => Ok(()),
                Some(code) => Err(Status::new(Code::from(code), format!("as asked: {code}"))),
            },
        }
    }

    /// The first message of a stream, and behind it what is to come later.
    fn replies(&self, first: String) -> Messages {
        let (service, text) = (self.clone(), first.clone());
        let later = tokio_stream::once(()).then(move |()| {
            let (service, text) = (service.clone(), text.clone());
            async move {
                let later = text.strip_suffix(" later").unwrap_or_default();
                service.obey(later).await.err().map(Err)
            }
        });
        Box::pin(tokio_stream::once(Ok(Message { text: first })).chain(later.filter_map(|item| item)))
    }
}

#[tonic::async_trait]
impl Unary for ScriptedService {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.came(&request);
        self.obey(&request.get_ref().text).await?;
        Ok(Response::new(request.into_inner()))
    }
}

#[tonic::async_trait]
impl ServerStream for ScriptedService {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Messages>, Status> {
        self.came(&request);
        self.obey(&request.get_ref().text).await?;
        Ok(Response::new(self.replies(request.into_inner().text)))
    }
}

#[tonic::async_trait]
impl ClientStream for ScriptedService {
    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Message>, Status> {
        self.came(&request);
        let first = request.into_inner().message().await?.unwrap_or_default();
        self.obey(&first.text).await?;
        Ok(Response::new(first))
    }
}

#[tonic::async_trait]
impl Bidi for ScriptedService {
    type CallStream = Messages;

    async fn call(&self, request: Request<Streaming<Message>>) -> Result<Response<Messages>, Status> {
        self.came(&request);
        let first = request.into_inner().message().await?.unwrap_or_default();
        self.obey(&first.text).await?;
        Ok(Response::new(self.replies(first.text)))
    }
}

/// The service `S` under the name of `N`.
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
