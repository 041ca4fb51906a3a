//! An uninstrumented service of all four kinds that follows the script in the request.

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

/// A service that does as the text of the first message says.
///
/// Any other text is echoed. The scripts are:
///
/// * `fail`: fails with [`failure`], before any response;
/// * `code 5`: fails with this code and the message `as asked: 5`, or succeeds if the code is 0;
/// * `wait`: never replies;
/// * `panic`: panics;
/// * `fail later`, `code 5 later`, …: does so after the first message of a response stream.
#[derive(Clone, Debug, Default)]
pub struct ScriptedService {
    /// Notified when an RPC starts to wait.
    pub waiting: Arc<Notify>,
    /// The metadata of each request.
    pub metadata: Shared<Vec<MetadataMap>>,
}

/// Returns the status of the script `fail`.
#[must_use]
pub fn failure() -> Status {
    Status::not_found("nothing of that name")
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

impl ScriptedService {
    /// Returns routes with all four services.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::new(UnaryServer::new(self.clone()))
            .add_service(ServerStreamServer::new(self.clone()))
            .add_service(ClientStreamServer::new(self.clone()))
            .add_service(BidiServer::new(self.clone()))
    }

    /// Returns routes with all four services, all of which reply with a stream.
    ///
    /// So unary and client-streaming RPCs can fail after their reply, too.
    #[must_use]
    pub fn routes_of_streams(&self) -> Routes {
        let unary = As::<_, UnaryServer<ScriptedService>>::new(ServerStreamServer::new(self.clone()));
        let client_stream = As::<_, ClientStreamServer<ScriptedService>>::new(BidiServer::new(self.clone()));
        Routes::new(unary)
            .add_service(ServerStreamServer::new(self.clone()))
            .add_service(client_stream)
            .add_service(BidiServer::new(self.clone()))
    }

    /// Returns the metadata of the request, and asserts that there was only one.
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

    /// Returns a stream of the first message, followed by the result of a `later` script.
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
