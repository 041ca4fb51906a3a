//! Handlers that return a boxed future, written by hand as `#[async_trait]` would generate them.

use std::pin::Pin;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

struct ByHand;

impl ByHand {
    async fn echo(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        // The context of the RPC is current.
        tokio::task::yield_now().await;
        tracing::warn!("echo");
        Ok(Response::new(request.into_inner()))
    }
}

#[traced_service]
impl Unary for ByHand {
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Message>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Message>, Status>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
    {
        if request.get_ref().text.is_empty() {
            return Box::pin(std::future::ready(Err(Status::invalid_argument("empty"))));
        }
        assert!(request.get_ref().text != "panic", "before there is a future");
        Box::pin(self.echo(request))
    }
}

#[traced_service]
impl ServerStream for ByHand {
    type CallStream = Messages;

    #[allow(clippy::type_complexity)]
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Message>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Self::CallStream>, Status>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
    {
        let stream: Self::CallStream = Box::pin(tokio_stream::iter([
            Ok(request.into_inner()),
            Err(Status::unavailable("away")),
        ]));
        Box::pin(std::future::ready(Ok(Response::new(stream))))
    }
}

#[tokio::test]
async fn unary() {
    for (text, code) in [("ada", "OK"), ("", "INVALID_ARGUMENT"), ("panic", "UNKNOWN")] {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(ByHand))).await;
        let reply = UnaryClient::new(server.channel().await).call(Message::from(text)).await;
        assert_eq!(reply.is_ok_and(|reply| reply.into_inner().text == text), code == "OK");

        let span = telemetry.span().await;
        assert_eq!(span.name, "kinds.Unary/Call");
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
        for log in telemetry.logs() {
            let rpc = (span.span_context.trace_id(), span.span_context.span_id());
            assert_eq!(log.trace, Some(rpc));
        }
        assert_eq!(telemetry.logs().len(), usize::from(code != "INVALID_ARGUMENT"));
        assert_eq!(telemetry.metrics().active_request_count(), 0);
    }
}

#[tokio::test]
async fn streaming() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ServerStreamServer::new(ByHand))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("ada")).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().text, "ada");
    replies.message().await.unwrap_err();

    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.ServerStream/Call");
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "UNAVAILABLE");
}

trait Native {
    fn call(&self, request: Request<Message>) -> impl Future<Output = Result<Response<Message>, Status>> + Send;
}

#[traced_service(service = "kinds.Native")]
impl Native for ByHand {
    fn call(&self, request: Request<Message>) -> impl Future<Output = Result<Response<Message>, Status>> + Send {
        if request.get_ref().text.is_empty() {
            return std::future::ready(Err(Status::invalid_argument("empty")));
        }
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

#[tokio::test]
async fn returns_an_impl_future() {
    for (text, code) in [("hello", "OK"), ("", "INVALID_ARGUMENT")] {
        let telemetry = Telemetry::start();
        let reply = Native::call(&ByHand, Request::new(Message::from(text))).await;
        match reply {
            Ok(reply) => assert_eq!(reply.into_inner().text, text),
            Err(status) => assert_eq!(status.message(), "empty"),
        }
        let span = telemetry.span().await;
        assert_eq!(span.name, "kinds.Native/Call");
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
    }
}
