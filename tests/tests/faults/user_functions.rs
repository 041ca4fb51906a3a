//! Panics in user-provided functions cost telemetry, but never an RPC.
//!
//! The functions are filters, `public_endpoint_if`, span attributes, fields, and instrumentations.

use std::fmt;

use integration_tests::client::{self, Kind};
use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::panics::{CALLS, assert_all_counted, assert_all_reply, panics, start, with_layer};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::{serve, serve_with};
use integration_tests::telemetry::attributes;
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind};
use otel_runtime::{ClientLayer, Filter, Instrumentation, RpcRequest, ServerLayer, traced_service};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower::Layer;

#[tokio::test]
async fn server_filter() {
    for is_annotated in [false, true] {
        let telemetry = start();
        let layer = ServerLayer::new().filter(Filter::new(|_| panics()));
        let server = with_layer(layer, is_annotated).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        telemetry.spans(8).await;
    }
}

#[tokio::test]
async fn server_span_attributes() {
    for is_annotated in [false, true] {
        let telemetry = start();
        // The iterator that the function returns may panic as well.
        let layer = ServerLayer::new().span_attributes(|_| (0..2).map(|index| [KeyValue::new("a", 1)][index].clone()));
        let server = with_layer(layer, is_annotated).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        for span in telemetry.spans(8).await {
            assert!(!attributes(&span.attributes).contains_key("a"), "{span:?}");
        }
    }
}

#[tokio::test]
async fn public_endpoint_condition() {
    for is_annotated in [false, true] {
        let telemetry = start();
        let layer = ServerLayer::new().public_endpoint_if(|_: &RpcRequest<'_>| panics());
        let server = with_layer(layer, is_annotated).await;
        assert_all_reply(&server).await;
        assert_all_counted(&telemetry, CALLS).await;
        for span in telemetry.spans(8).await {
            assert_eq!(span.parent_span_id, SpanId::INVALID);
            assert_eq!(span.links.len(), 1);
        }
    }
}

#[tokio::test]
async fn server_failures() {
    for is_annotated in [false, true] {
        let telemetry = start();
        let server = with_layer(ServerLayer::new().failures(|_, _| panics()), is_annotated).await;
        let (_, status) = call_to_end(server.channel().await, RPCS[0], request("13")).await;
        assert_eq!(status.code(), Code::Internal);
        let span = telemetry.span().await;
        assert_eq!(attributes(&span.attributes)["error.type"], "INTERNAL");
        telemetry.durations(1).await;
    }
}

/// A value whose `Display` implementation panics.
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panics()
    }
}

/// Serves a service, and asserts that two RPCs succeed.
async fn assert_two_reply(service: impl Unary, with_layer: bool) {
    let routes = Routes::new(UnaryServer::new(service));
    let server = if with_layer {
        serve_with(Server::builder().layer(ServerLayer::new()), routes).await
    } else {
        serve(routes).await
    };
    for _ in 0..2 {
        let (messages, status) = call_to_end(server.channel().await, RPCS[0], request("")).await;
        assert_eq!((messages, status.code()), (1, Code::Ok));
    }
}

struct OfFields;

#[traced_service]
#[tonic::async_trait]
impl Unary for OfFields {
    #[traced(fields(told = request.get_ref().text.len(), untold = Unspeakable.to_string()))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[tokio::test]
async fn fields() {
    for with_layer in [false, true] {
        let telemetry = start();
        assert_two_reply(OfFields, with_layer).await;
        telemetry.durations(2).await;
        for span in telemetry.spans(2).await {
            let attributes = attributes(&span.attributes);
            assert_eq!(attributes["rpc.status_code"], "OK");
            assert!(!attributes.contains_key("told"), "all or nothing: {attributes:?}");
        }
    }
}

struct OfInstrumentation;

impl OfInstrumentation {
    #[allow(clippy::unused_self)]
    fn instrumentation(&self) -> Instrumentation {
        panics()
    }
}

#[traced_service(instrumentation = self.instrumentation())]
#[tonic::async_trait]
impl Unary for OfInstrumentation {
    #[traced(fields(of = "another"))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// With the layer, the RPC is still recorded.
#[tokio::test]
async fn instrumentation_expression() {
    for with_layer in [false, true] {
        let telemetry = start();
        assert_two_reply(OfInstrumentation, with_layer).await;
        let recorded = if with_layer { 2 } else { 0 };
        telemetry.durations(recorded).await;
        telemetry.spans(recorded.try_into().unwrap()).await;
    }
}

#[tokio::test]
async fn client_options() {
    let layers = [
        ClientLayer::new("here").filter(Filter::new(|_| panics())),
        ClientLayer::new("here").span_attributes(|_| panics::<Vec<_>>()),
    ];
    for layer in layers {
        let telemetry = start();
        let server = serve(Plain::routes(&ScriptedService::default())).await;
        let channel = layer.layer(server.channel().await);
        for kind in Kind::ALL {
            assert_eq!(client::call(channel.clone(), kind, Request::new("")).await.unwrap(), 1);
        }
        assert_eq!(telemetry.spans(4).await[0].span_kind, SpanKind::Client);
        let metrics = telemetry.metrics();
        assert_eq!(metrics.client_duration_count(), 4);
        assert_eq!(metrics.client_active_request_count(), 0);
    }
}
