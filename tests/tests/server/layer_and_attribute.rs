//! An annotated service behind `ServerLayer`: one span and one duration for each RPC.
//!
//! The span has the data of both the layer and the attribute.

use std::pin::Pin;
use std::task::{self, Poll};

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::names::Nothing;
use integration_tests::names::odd_client::OddClient;
use integration_tests::names::odd_server::{Odd, OddServer};
use integration_tests::rpc::{call, call_to_end, request};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use integration_tests::telemetry::{Attributes, Telemetry, attributes};
use opentelemetry::trace::{SpanId, Status as SpanStatus};
use opentelemetry::{Array, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ServerLayer, traced_service};
use tokio_stream::Stream;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower_layer::Layer;

async fn serve_in_layer(routes: Routes) -> RunningServer {
    serve_with(Server::builder().layer(ServerLayer::new()), routes).await
}

/// Returns the only span, and asserts that there is one duration with its method and status.
async fn only_span(telemetry: &Telemetry) -> (SpanData, Attributes) {
    let [point] = &telemetry.durations(1).await[..] else {
        unreachable!()
    };
    let span = telemetry.span().await;
    let found = attributes(&span.attributes);
    assert_eq!(span.name, point["rpc.method"]);
    for name in ["rpc.method", "rpc.status_code", "error.type"] {
        assert_eq!(found.get(name), point.get(name), "{name}");
    }
    (span, found)
}

mod captured_headers {
    use super::*;

    struct MetadataService;

    fn metadata(names: [&'static str; 3]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for name in names {
            metadata.insert(name, MetadataValue::from_static(name));
        }
        metadata.insert("x-secret", MetadataValue::from_static("secret"));
        metadata
    }

    fn failure() -> Status {
        let trailers = metadata(["x-trailer-both", "x-trailer-attribute", "x-trailer-layer"]);
        Status::with_metadata(Code::Internal, "torn", trailers)
    }

    type Messages = tokio_stream::Once<Result<Message, Status>>;

    #[traced_service(
        request_headers("x-both", "x-attribute"),
        response_headers("x-header-both", "x-header-attribute"),
        response_trailers("x-trailer-both", "x-trailer-attribute")
    )]
    #[tonic::async_trait]
    impl ServerStream for MetadataService {
        type CallStream = Messages;

        #[traced(fields(asked.for = request.get_ref().text.as_str()))]
        async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
            if request.get_ref().text == "fail" {
                return Err(failure());
            }
            let mut response = Response::new(tokio_stream::once(Err(failure())));
            *response.metadata_mut() = metadata(["x-header-both", "x-header-attribute", "x-header-layer"]);
            Ok(response)
        }
    }

    async fn recorded(text: &str) -> (SpanData, Attributes) {
        let telemetry = Telemetry::start();
        let layer = ServerLayer::new()
            .request_headers(["x-both", "x-layer"])
            .response_headers(["x-header-both", "x-header-layer"])
            .response_trailers(["x-trailer-both", "x-trailer-layer"]);
        let routes = Routes::new(ServerStreamServer::new(MetadataService));
        let server = serve_with(Server::builder().layer(layer), routes).await;
        let mut request = request(text);
        *request.metadata_mut() = metadata(["x-both", "x-attribute", "x-layer"]);
        let (_, status) = call_to_end(server.channel().await, "kinds.ServerStream/Call", request).await;
        assert_eq!(status.code(), Code::Internal);
        only_span(&telemetry).await
    }

    /// Returns the names of captured headers. [`attributes`] asserts that none is duplicated.
    fn captured(span: &SpanData) -> Vec<String> {
        let mut captured = Vec::new();
        for attribute in &span.attributes {
            let key = attribute.key.as_str();
            if let Some((_, header)) = key.split_once("header.").or_else(|| key.split_once("trailer.")) {
                let value = Array::String(vec![StringValue::from(header.to_owned())]);
                assert_eq!(attribute.value, Value::Array(value), "{key}");
                captured.push(key.to_owned());
            }
        }
        captured.sort();
        captured
    }

    #[tokio::test]
    async fn lists_of_attribute_and_layer_are_combined() {
        let (span, found) = recorded("stream").await;
        assert_eq!(found["asked.for"], "stream");
        assert_eq!(span.status, SpanStatus::error("torn"));
        assert_eq!(
            captured(&span),
            [
                "rpc.request.header.x-attribute",
                "rpc.request.header.x-both",
                "rpc.request.header.x-layer",
                "rpc.response.header.x-header-attribute",
                "rpc.response.header.x-header-both",
                "rpc.response.header.x-header-layer",
                "rpc.response.trailer.x-trailer-attribute",
                "rpc.response.trailer.x-trailer-both",
                "rpc.response.trailer.x-trailer-layer",
            ]
        );
    }

    #[tokio::test]
    async fn lists_are_combined_for_trailers_only_responses() {
        let (span, found) = recorded("fail").await;
        assert_eq!(found["asked.for"], "fail");
        assert_eq!(
            captured(&span),
            [
                "rpc.request.header.x-attribute",
                "rpc.request.header.x-both",
                "rpc.request.header.x-layer",
                "rpc.response.trailer.x-trailer-attribute",
                "rpc.response.trailer.x-trailer-both",
                "rpc.response.trailer.x-trailer-layer",
            ]
        );
    }
}

mod explicit_name_on_the_attribute {
    use super::*;

    struct Renamed;

    #[traced_service(service = "renamed.Service")]
    #[tonic::async_trait]
    impl Unary for Renamed {
        #[traced(name = "CALL")]
        async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
            Ok(Response::new(request.into_inner()))
        }
    }

    #[tokio::test]
    async fn is_recorded_on_span_and_metrics() {
        let telemetry = Telemetry::start();
        let server = serve_in_layer(Routes::new(UnaryServer::new(Renamed))).await;
        let channel = server.channel().await;
        // The method is known from the second RPC on.
        for _ in 0..3 {
            call_to_end(channel.clone(), "kinds.Unary/Call", request("")).await;
        }
        for span in telemetry.spans(3).await {
            assert_eq!(span.name, "renamed.Service/CALL");
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.method"], "renamed.Service/CALL");
            assert_eq!(found.get("rpc.method_original"), None);
        }
        for point in telemetry.durations(3).await {
            assert_eq!(point["rpc.method"], "renamed.Service/CALL");
        }
    }
}

/// Only the attribute can inspect the response stream itself.
mod dropped_response_stream {
    use super::*;

    /// A stream that reports its end in `size_hint` after one item, but does not end.
    struct One(bool);

    impl Stream for One {
        type Item = Result<Message, Status>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
            if std::mem::replace(&mut self.0, false) {
                Poll::Ready(Some(Ok(Message::from("one"))))
            } else {
                Poll::Pending
            }
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            let left = usize::from(self.0);
            (left, Some(left))
        }
    }

    struct Annotated;

    #[traced_service]
    #[tonic::async_trait]
    impl ServerStream for Annotated {
        type CallStream = One;

        async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
            Ok(Response::new(One(true)))
        }
    }

    struct Plain;

    #[tonic::async_trait]
    impl ServerStream for Plain {
        type CallStream = One;

        async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
            Ok(Response::new(One(true)))
        }
    }

    async fn after_its_last_item(routes: Routes) -> String {
        let telemetry = Telemetry::start();
        let server = serve_in_layer(routes).await;
        let replies = call(server.channel().await, "kinds.ServerStream/Call", request("")).await;
        let mut replies = replies.unwrap().into_inner();
        assert_eq!(replies.message().await.unwrap().unwrap().text, "one");
        drop(replies);
        only_span(&telemetry).await.1.remove("rpc.status_code").unwrap()
    }

    #[tokio::test]
    async fn dropped_after_its_last_item_is_ok() {
        let routes = Routes::new(ServerStreamServer::new(Annotated));
        assert_eq!(after_its_last_item(routes).await, "OK");
    }

    #[tokio::test]
    async fn without_the_attribute_is_cancelled() {
        let routes = Routes::new(ServerStreamServer::new(Plain));
        assert_eq!(after_its_last_item(routes).await, "CANCELLED");
    }
}

/// The handler determines the outcome when it returns, even if the response is dropped afterwards.
mod response_dropped_before_its_trailers {
    use http_body_util::BodyExt;
    use integration_tests::scripted::Plain;
    use tonic::codegen::http;
    use tower::ServiceExt;

    use super::*;

    /// Reads the data of the response, drops it before the trailers, and returns the status code.
    async fn after_its_data(routes: Routes, rpc: &str, text: &str) -> String {
        let telemetry = Telemetry::start();
        let length = u8::try_from(text.len()).unwrap();
        let message = [&[0, 0, 0, 0, length + 2, 0x0a, length][..], text.as_bytes()].concat();
        let request = http::Request::post(format!("http://localhost/{rpc}"))
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::new(http_body_util::Full::from(message)))
            .unwrap();
        let layered = ServerLayer::new().known_methods([rpc]).layer(routes.prepare());
        let mut body = layered.oneshot(request).await.unwrap().into_body();
        assert!(body.frame().await.unwrap().unwrap().is_data());
        drop(body);
        only_span(&telemetry).await.1.remove("rpc.status_code").unwrap()
    }

    #[tokio::test]
    async fn with_the_attribute_has_the_handlers_status() {
        let annotated = || Annotated::routes(&ScriptedService::default());
        assert_eq!(after_its_data(annotated(), "kinds.Unary/Call", "").await, "OK");
        let rpc = "kinds.ServerStream/Call";
        assert_eq!(after_its_data(annotated(), rpc, "torn").await, "DATA_LOSS");
    }

    #[tokio::test]
    async fn without_the_attribute_is_cancelled() {
        let plain = Plain::routes(&ScriptedService::default());
        assert_eq!(after_its_data(plain, "kinds.Unary/Call", "").await, "CANCELLED");
    }
}

/// Without tonic's router, the handler does not know the path of the request.
mod service_without_a_router {
    use super::*;

    struct Strange;

    #[traced_service]
    #[tonic::async_trait]
    impl Odd for Strange {
        type List_v1Stream = tokio_stream::Empty<Result<Nothing, Status>>;

        #[traced(fields(seen = true))]
        async fn get_url(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
            Ok(Response::new(Nothing {}))
        }

        #[traced(fields(seen = true))]
        async fn get_thing(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
            Ok(Response::new(Nothing {}))
        }

        #[traced(fields(seen = true))]
        async fn list_v1(&self, _: Request<Nothing>) -> Result<Response<Self::List_v1Stream>, Status> {
            Ok(Response::new(tokio_stream::empty()))
        }

        #[traced(fields(seen = true))]
        async fn r#move(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
            Err(Status::internal("stuck"))
        }
    }

    #[tokio::test]
    async fn has_the_layers_names_and_one_span() {
        let telemetry = Telemetry::start();
        let layer = ServerLayer::new();
        let mut client = OddClient::new(layer.layer(OddServer::new(Strange)));
        client.get_url(Nothing {}).await.unwrap();
        client.get_thing(Nothing {}).await.unwrap();
        let mut replies = client.list_v1(Nothing {}).await.unwrap().into_inner();
        assert!(replies.message().await.unwrap().is_none());
        client.r#move(Nothing {}).await.unwrap_err();

        let spans = telemetry.spans(4).await;
        let names = ["GetURL", "getThing", "List_v1", "Move"].map(|method| format!("names.v1.Odd/{method}"));
        for (span, name) in spans.iter().zip(&names) {
            assert_eq!(span.name, *name);
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.method"], *name);
            assert_eq!(found["seen"], "true");
        }
        let points = telemetry.durations(4).await;
        let mut measured: Vec<_> = points.iter().map(|point| &point["rpc.method"]).collect();
        measured.sort();
        let mut names: Vec<_> = names.iter().collect();
        names.sort();
        assert_eq!(measured, names);
    }
}

/// The layer starts the RPC, so its options determine the parent and the instrumentation.
mod options_of_the_layer {
    use super::*;

    struct Public;

    #[traced_service(public_endpoint)]
    #[tonic::async_trait]
    impl Unary for Public {
        async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
            Ok(Response::new(request.into_inner()))
        }
    }

    #[tokio::test]
    async fn layer_decides_about_untrusted_callers() {
        const PARENT: &str = "00f067aa0ba902b7";
        let telemetry = Telemetry::start();
        let server = serve_in_layer(Routes::new(UnaryServer::new(Public))).await;
        let mut request = request("");
        let traceparent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{PARENT}-01");
        request
            .metadata_mut()
            .insert("traceparent", traceparent.parse().unwrap());
        call_to_end(server.channel().await, "kinds.Unary/Call", request).await;
        let (span, _) = only_span(&telemetry).await;
        assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());
        assert_eq!(span.links.len(), 0);
    }
}

#[tokio::test]
async fn concurrent_rpcs_on_one_connection_are_separate() {
    const RPCS: usize = 100;
    let telemetry = Telemetry::start();
    let server = serve_in_layer(Annotated::routes(&ScriptedService::default())).await;
    let channel = server.channel().await;
    let calls: Vec<_> = (0..RPCS)
        .map(|number| {
            let (channel, code) = (channel.clone(), number % 17);
            tokio::spawn(async move {
                let text = format!("later {code}");
                let (_, status) = call_to_end(channel, "kinds.Bidi/Call", request(&text)).await;
                assert_eq!(status.code() as usize, code);
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }

    let points = telemetry.durations(RPCS as u64).await;
    let spans = telemetry.spans(RPCS).await;
    let codes = |code: &str| {
        let of_spans = spans.iter().filter(|span| {
            let found = attributes(&span.attributes);
            found["rpc.status_code"] == code
        });
        let of_points = points.iter().filter(|point| point["rpc.status_code"] == code);
        (of_spans.count(), of_points.count())
    };
    // 100 = 5 × 17 + 15.
    assert_eq!(codes("OK"), (6, 6));
    assert_eq!(codes("UNAVAILABLE"), (6, 6));
    assert_eq!(codes("DATA_LOSS"), (5, 5));
    assert_eq!(codes("UNAUTHENTICATED"), (5, 5));
}

#[tokio::test]
async fn two_layers_record_one_span() {
    let telemetry = Telemetry::start();
    let inner = ServerLayer::new().request_headers(["x-inner"]);
    let server = Server::builder().layer(ServerLayer::new()).layer(inner);
    let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
    let (_, status) = call_to_end(server.channel().await, "kinds.Unary/Call", request("5")).await;
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(telemetry.span().await.name, "kinds.Unary/Call");
    telemetry.durations(1).await;
}
