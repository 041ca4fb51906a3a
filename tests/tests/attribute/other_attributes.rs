//! `#[traced_service]` together with attributes of other crates that rewrite methods.
//!
//! Both must work, above and below each other.

use autometrics::autometrics;
use fastrace::collector::{Config, TestReporter};
use fastrace::prelude::SpanContext;
use function_name::named;
use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

type Messages = tokio_stream::Iter<std::vec::IntoIter<Result<Message, Status>>>;

/// Asserts that a stream of a reply and an error arrives, and the span ends with the error.
async fn assert_streams(service: impl ServerStream, reply: &str) {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ServerStreamServer::new(service))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("ada")).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().text, reply);
    assert_eq!(replies.message().await.unwrap_err().message(), "away");

    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.ServerStream/Call");
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "UNAVAILABLE");
}

/// Asserts that the service replies to `"ada"`, and fails on an empty text.
async fn assert_replies<S: Unary>(service: impl Fn() -> S, reply: &str) {
    for (text, code) in [("ada", "OK"), ("", "INVALID_ARGUMENT")] {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(service()))).await;
        let received = UnaryClient::new(server.channel().await).call(Message::from(text)).await;
        match received {
            Ok(received) => assert_eq!(received.into_inner().text, reply),
            Err(status) => assert_eq!(status.message(), "empty"),
        }
        let span = telemetry.span().await;
        assert_eq!(span.name, "kinds.Unary/Call");
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], code);
    }
}

fn not_empty(request: &Request<Message>) -> Result<(), Status> {
    if request.get_ref().text.is_empty() {
        return Err(Status::invalid_argument("empty"));
    }
    Ok(())
}

fn and_then_away(text: &str) -> Messages {
    tokio_stream::iter(vec![Ok(text.into()), Err(Status::unavailable("away"))])
}

/// Implements `Unary` and `ServerStream` for a new type.
///
/// The arguments are the attributes of the impls, the attributes of the methods, and the reply.
macro_rules! services {
    ($service:ident: $(#[$on_impl:meta])*; $(#[$on_method:meta])*; $reply:expr) => {
        struct $service;

        $(#[$on_impl])*
        impl Unary for $service {
            $(#[$on_method])*
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                not_empty(&request)?;
                Ok(Response::new(Message::from($reply)))
            }
        }

        $(#[$on_impl])*
        impl ServerStream for $service {
            type CallStream = Messages;

            $(#[$on_method])*
            async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
                not_empty(&request)?;
                Ok(Response::new(and_then_away($reply)))
            }
        }
    };
}

#[tokio::test]
async fn named_on_a_method() {
    services!(Above: #[traced_service] #[tonic::async_trait]; #[named]; function_name!());
    services!(Below: #[tonic::async_trait] #[traced_service]; #[named]; function_name!());
    assert_replies(|| Above, "call").await;
    assert_streams(Above, "call").await;
    assert_replies(|| Below, "call").await;
    assert_streams(Below, "call").await;
}

#[tokio::test]
async fn named_beside_the_arguments_of_a_method() {
    services!(AboveAbove: #[traced_service] #[tonic::async_trait]; #[traced(fields(a = 1))] #[named]; function_name!());
    services!(AboveBelow: #[traced_service] #[tonic::async_trait]; #[named] #[traced(fields(a = 1))]; function_name!());
    services!(BelowAbove: #[tonic::async_trait] #[traced_service]; #[traced(fields(a = 1))] #[named]; function_name!());
    services!(BelowBelow: #[tonic::async_trait] #[traced_service]; #[named] #[traced(fields(a = 1))]; function_name!());
    assert_replies(|| AboveAbove, "call").await;
    assert_streams(AboveAbove, "call").await;
    assert_replies(|| AboveBelow, "call").await;
    assert_streams(AboveBelow, "call").await;
    assert_replies(|| BelowAbove, "call").await;
    assert_streams(BelowAbove, "call").await;
    assert_replies(|| BelowBelow, "call").await;
    assert_streams(BelowBelow, "call").await;
}

#[tokio::test]
async fn autometrics_on_a_method() {
    services!(Above: #[traced_service] #[tonic::async_trait]; #[autometrics]; "hello");
    services!(Below: #[tonic::async_trait] #[traced_service]; #[autometrics]; "hello");
    assert_replies(|| Above, "hello").await;
    assert_streams(Above, "hello").await;
    assert_replies(|| Below, "hello").await;
    assert_streams(Below, "hello").await;
}

#[tokio::test]
async fn autometrics_on_the_impl_below() {
    services!(Between: #[traced_service] #[autometrics] #[tonic::async_trait];; "hello");
    services!(Last: #[traced_service] #[tonic::async_trait] #[autometrics];; "hello");
    services!(BelowAsyncTrait: #[tonic::async_trait] #[traced_service] #[autometrics];; "hello");
    // `#[skip_autometrics]` is a helper attribute that only `#[autometrics]` understands.
    services!(Helped: #[traced_service] #[autometrics] #[tonic::async_trait]; #[skip_autometrics]; "hello");
    assert_replies(|| Helped, "hello").await;
    assert_streams(Helped, "hello").await;
    assert_replies(|| Between, "hello").await;
    assert_streams(Between, "hello").await;
    assert_replies(|| Last, "hello").await;
    assert_streams(Last, "hello").await;
    assert_replies(|| BelowAsyncTrait, "hello").await;
    assert_streams(BelowAsyncTrait, "hello").await;
}

/// `#[autometrics]` on an impl drops every attribute below it except `#[async_trait]`.
///
/// If this test fails, a later version keeps them, and the test above can cover this order, too.
#[tokio::test]
async fn autometrics_above_the_impl_drops_traced_service() {
    services!(Dropped: #[autometrics] #[traced_service] #[tonic::async_trait];; "hello");
    // The attribute does not exist, but this compiles, because autometrics drops it.
    services!(OthersToo: #[autometrics] #[there_is_no_such_attribute] #[tonic::async_trait];; "hello");

    let telemetry = Telemetry::start();
    let reply = Unary::call(&Dropped, Request::new(Message::from("ada"))).await.unwrap();
    assert_eq!(reply.into_inner().text, "hello");
    let reply = Unary::call(&OthersToo, Request::new(Message::from("ada")))
        .await
        .unwrap();
    assert_eq!(reply.into_inner().text, "hello");
    telemetry.spans(0).await;
}

#[tokio::test]
async fn framed_on_a_method() {
    services!(Above: #[traced_service] #[tonic::async_trait]; #[async_backtrace::framed]; "hello");
    services!(Below: #[tonic::async_trait] #[traced_service]; #[async_backtrace::framed]; "hello");
    assert_replies(|| Above, "hello").await;
    assert_streams(Above, "hello").await;
    assert_replies(|| Below, "hello").await;
    assert_streams(Below, "hello").await;
}

#[tokio::test]
async fn fastrace_on_a_method() {
    services!(Above: #[traced_service] #[tonic::async_trait]; #[fastrace::trace]; "hello");
    services!(Below: #[tonic::async_trait] #[traced_service]; #[fastrace::trace]; "hello");
    assert_replies(|| Above, "hello").await;
    assert_streams(Above, "hello").await;
    assert_replies(|| Below, "hello").await;
    assert_streams(Below, "hello").await;
}

/// fastrace still records its own spans, as without `#[traced_service]`.
#[tokio::test]
async fn fastrace_still_records() {
    services!(Service: #[traced_service] #[tonic::async_trait]; #[fastrace::trace(name = "inner")]; "hello");

    let telemetry = Telemetry::start();
    let (reporter, recorded) = TestReporter::new();
    fastrace::set_reporter(reporter, Config::default());
    {
        let outer = fastrace::Span::root("outer", SpanContext::random());
        let _guard = outer.set_local_parent();
        Unary::call(&Service, Request::new(Message::from("ada"))).await.unwrap();
    }
    fastrace::flush();
    let recorded = recorded.lock().clone();
    let span = |name: &str| recorded.iter().find(|span| span.name == name).unwrap();
    assert_eq!(span("inner").parent_id, span("outer").span_id);
    assert_eq!(telemetry.span().await.name, "Unary/Call");
}
