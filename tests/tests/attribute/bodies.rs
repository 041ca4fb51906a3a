//! Handler bodies with macros, early returns, or a forwarded call behave as without the attribute.

use std::pin::Pin;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

// Aliases that hide the request, the response and the result.
type RpcRequest = Request<Message>;
type Reply<T> = Result<Response<T>, Status>;
type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

macro_rules! refuse_if {
    ($condition:expr, $code:ident) => {
        if $condition {
            return Err(Status::$code("refused"));
        }
    };
}

macro_rules! in_a_block_of_its_own {
    ($($body:tt)*) => {
        async move { $($body)* }.await
    };
}

/// A service with macros that return early, fall through, or use `?`.
struct InMacros;

#[traced_service]
#[tonic::async_trait]
impl ServerStream for InMacros {
    type CallStream = Messages;

    async fn call(&self, request: RpcRequest) -> Reply<Self::CallStream> {
        refuse_if!(request.get_ref().text.is_empty(), invalid_argument);
        in_a_block_of_its_own! {
            refuse_if!(request.get_ref().text == "!", permission_denied);
            let Some((first, second)) = request.get_ref().text.split_once(' ') else {
                return Ok(Response::new(Box::pin(tokio_stream::empty()) as Messages));
            };
            let words = vec![Ok(first.into()), Ok(second.into())];
            Ok(Response::new(Box::pin(tokio_stream::iter(words)) as Messages))
        }
    }
}

/// A service that forwards to the same method of an uninstrumented service.
struct Forwards<S>(S);

#[traced_service]
#[tonic::async_trait]
impl<S: ServerStream> ServerStream for Forwards<S> {
    type CallStream = S::CallStream;

    async fn call(&self, request: RpcRequest) -> Reply<Self::CallStream> {
        self.0.call(request).await
    }
}

struct Bare;

#[tonic::async_trait]
impl ServerStream for Bare {
    type CallStream = Messages;

    async fn call(&self, request: RpcRequest) -> Reply<Messages> {
        refuse_if!(request.get_ref().text.is_empty(), invalid_argument);
        refuse_if!(request.get_ref().text == "!", permission_denied);
        let words = request.into_inner().text;
        let words = words.split_once(' ').map(<[&str; 2]>::from);
        let words: Vec<_> = words.iter().flatten().map(|word| Ok(Message::from(*word))).collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(words))))
    }
}

async fn assert_answers<S: ServerStream>(service: impl Fn() -> S) {
    let answers: [(&str, &str, &[&str]); 4] = [
        ("a b", "OK", &["a", "b"]),
        ("a", "OK", &[]),
        ("", "INVALID_ARGUMENT", &[]),
        ("!", "PERMISSION_DENIED", &[]),
    ];
    for (text, code, replies) in answers {
        let telemetry = Telemetry::start();
        let server = serve(tonic::service::Routes::new(ServerStreamServer::new(service()))).await;
        let mut received = Vec::new();
        let response = ServerStreamClient::new(server.channel().await)
            .call(Message::from(text))
            .await;
        if let Ok(response) = response {
            let mut stream = response.into_inner();
            while let Some(message) = stream.message().await.unwrap() {
                received.push(message.text);
            }
        }
        assert_eq!(received, replies);
        let span = telemetry.span().await;
        assert_eq!(span.name, "kinds.ServerStream/Call");
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
    }
}

#[tokio::test]
async fn returns_inside_macros() {
    assert_answers(|| InMacros).await;
}

#[tokio::test]
async fn forwarding_to_another_service() {
    assert_answers(|| Forwards(Bare)).await;
}
