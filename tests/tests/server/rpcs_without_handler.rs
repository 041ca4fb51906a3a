//! `ServerLayer` records RPCs that reach no handler, or fail outside of it.
//!
//! Causes are unknown methods, rejections by interceptors, and messages that cannot be decoded or
//! encoded.

use std::collections::BTreeSet;

use integration_tests::coverage::RPCS;
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call, call_to_end, read_to_end, request};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use integration_tests::telemetry::{Attributes, Telemetry, attributes, expected};
use opentelemetry::trace::Status as SpanStatus;
use otel_runtime::{ServerLayer, traced_service};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

async fn serve_in_layer(routes: Routes) -> RunningServer {
    serve_with(Server::builder().layer(ServerLayer::new()), routes).await
}

/// The expected telemetry of a failed RPC.
struct Recorded<'a> {
    method: &'a str,
    /// `rpc.method_original`, if the method is unknown.
    original: Option<&'a str>,
    code: &'a str,
    /// The description of the span status, if the server failed.
    error: Option<&'a str>,
}

impl Recorded<'_> {
    fn point(&self) -> Attributes {
        let mut point = expected([
            ("rpc.system.name", "grpc"),
            ("rpc.method", self.method),
            ("rpc.status_code", self.code),
        ]);
        if self.error.is_some() {
            point.insert("error.type".to_owned(), self.code.to_owned());
        }
        point
    }

    async fn assert_is_all_of(&self, telemetry: &Telemetry) {
        let span = telemetry.span().await;
        assert_eq!(span.name, if self.original.is_some() { "grpc" } else { self.method });
        assert_eq!(
            span.status,
            match self.error {
                Some(description) => SpanStatus::error(description.to_owned()),
                None => SpanStatus::Unset,
            }
        );
        let mut found = attributes(&span.attributes);
        found.retain(|key, _| key.starts_with("rpc.") || key.starts_with("error."));
        let mut attributes = self.point();
        let original = self
            .original
            .map(|path| ("rpc.method_original".to_owned(), path.to_owned()));
        attributes.extend(original);
        assert_eq!(found, attributes);
        assert_eq!(telemetry.durations(1).await, [self.point()]);
    }
}

mod unknown {
    use super::*;

    async fn is_other(rpc: &str) {
        for routes in [Plain::routes, Annotated::routes] {
            let telemetry = Telemetry::start();
            let server = serve_in_layer(routes(&ScriptedService::default())).await;
            let (_, status) = call_to_end(server.channel().await, rpc, request("")).await;
            assert_eq!(status.code(), Code::Unimplemented);
            let recorded = Recorded {
                method: "_OTHER",
                original: Some(rpc),
                code: "UNIMPLEMENTED",
                error: Some(status.message()),
            };
            recorded.assert_is_all_of(&telemetry).await;
        }
    }

    #[tokio::test]
    async fn service() {
        is_other("kinds.Nowhere/Call").await;
    }

    #[tokio::test]
    async fn method_of_a_service_that_exists() {
        is_other("kinds.Unary/Nothing").await;
    }
}

mod rejected_by_an_interceptor {
    use super::*;

    #[allow(clippy::unnecessary_wraps)]
    fn refuse(_: Request<()>) -> Result<Request<()>, Status> {
        Err(Status::unauthenticated("who are you?"))
    }

    async fn one_of_a_method_that_is(known: bool, server: RunningServer) {
        let telemetry = Telemetry::start();
        let (_, status) = call_to_end(server.channel().await, "kinds.Unary/Call", request("")).await;
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unauthenticated, "who are you?")
        );
        let recorded = Recorded {
            method: if known { "kinds.Unary/Call" } else { "_OTHER" },
            original: (!known).then_some("kinds.Unary/Call"),
            code: "UNAUTHENTICATED",
            error: None,
        };
        recorded.assert_is_all_of(&telemetry).await;
    }

    #[tokio::test]
    async fn interceptor_of_the_server() {
        for known in [false, true] {
            let layer = ServerLayer::new().known_methods(known.then_some("kinds.Unary/Call"));
            let server = Server::builder().layer(layer).layer(InterceptorLayer::new(refuse));
            let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
            one_of_a_method_that_is(known, server).await;
        }
    }

    #[tokio::test]
    async fn interceptor_of_the_service() {
        for known in [false, true] {
            let layer = ServerLayer::new().known_methods(known.then_some("kinds.Unary/Call"));
            let service = UnaryServer::with_interceptor(Annotated::default(), refuse);
            let server = serve_with(Server::builder().layer(layer), Routes::new(service)).await;
            one_of_a_method_that_is(known, server).await;
        }
    }

    const MADE_UP: usize = 1000;

    /// Asserts that any number of unknown paths are one time series.
    async fn makes_no_label(server: RunningServer, path: impl Fn(usize) -> String, code: &str) {
        let telemetry = Telemetry::start();
        let channel = server.channel().await;
        for number in 0..MADE_UP {
            call_to_end(channel.clone(), &path(number), request("")).await;
        }

        let spans = telemetry.spans(MADE_UP).await;
        for (number, span) in spans.iter().enumerate() {
            assert_eq!(span.name, "grpc");
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.method"], "_OTHER");
            assert_eq!(found["rpc.method_original"], path(number));
            assert_eq!(found["rpc.status_code"], code);
        }
        let metrics = telemetry.metrics();
        let [(point, count, _)] = &metrics.durations()[..] else {
            panic!("expected one point: {metrics:?}")
        };
        assert_eq!(point["rpc.method"], "_OTHER");
        assert_eq!(*count, MADE_UP as u64);
        let mut known: BTreeSet<_> = RPCS.into_iter().map(ToOwned::to_owned).collect();
        known.insert("_OTHER".to_owned());
        for (point, active) in metrics.active_requests() {
            assert_eq!(active, 0);
            assert!(known.contains(&point["rpc.method"]), "{point:?}");
        }
    }

    #[test]
    fn thousand_unknown_services() {
        in_own_process_async(async {
            let server = serve_in_layer(Annotated::routes(&ScriptedService::default())).await;
            makes_no_label(server, |number| format!("made.up{number}/Call"), "UNIMPLEMENTED").await;
        });
    }

    #[test]
    fn thousand_unknown_services_with_an_interceptor_of_the_server() {
        in_own_process_async(async {
            let server = Server::builder()
                .layer(ServerLayer::new())
                .layer(InterceptorLayer::new(refuse));
            let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
            makes_no_label(server, |number| format!("made.up{number}/Call"), "UNAUTHENTICATED").await;
        });
    }

    #[test]
    fn thousand_unknown_methods() {
        in_own_process_async(async {
            let server = serve_in_layer(Plain::routes(&ScriptedService::default())).await;
            makes_no_label(server, |number| format!("kinds.Unary/Call{number}"), "UNIMPLEMENTED").await;
        });
    }

    #[test]
    fn thousand_unknown_methods_of_a_service_with_an_interceptor() {
        in_own_process_async(async {
            let service = UnaryServer::with_interceptor(Annotated::default(), refuse);
            let server = serve_in_layer(Routes::new(service)).await;
            makes_no_label(server, |number| format!("kinds.Unary/Call{number}"), "UNAUTHENTICATED").await;
        });
    }
}

mod invalid_message {
    use super::*;

    const KNOWN: &str = "kinds.Unary/Call";

    async fn serve_known(service: UnaryServer<Annotated>) -> RunningServer {
        let layer = ServerLayer::new().known_methods([KNOWN]);
        serve_with(Server::builder().layer(layer), Routes::new(service)).await
    }

    async fn is_recorded(telemetry: &Telemetry, status: &Status, code: &str, is_error: bool) {
        let recorded = Recorded {
            method: KNOWN,
            original: None,
            code,
            error: is_error.then_some(status.message()),
        };
        recorded.assert_is_all_of(telemetry).await;
    }

    /// A message with a number in place of the text that the service expects.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Undecodable {
        #[prost(int32, tag = "1")]
        number: i32,
    }

    async fn call_undecodable(channel: Channel) -> Status {
        let mut client = Grpc::new(channel);
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/kinds.Unary/Call");
        let codec = ProstCodec::<Undecodable, Message>::default();
        let reply = client.unary(Request::new(Undecodable { number: 7 }), path, codec).await;
        reply.unwrap_err()
    }

    #[tokio::test]
    async fn cannot_be_decoded() {
        let telemetry = Telemetry::start();
        let server = serve_known(UnaryServer::new(Annotated::default())).await;
        let status = call_undecodable(server.channel().await).await;
        assert_eq!(status.code(), Code::Internal);
        is_recorded(&telemetry, &status, "INTERNAL", true).await;
    }

    #[tokio::test]
    async fn too_large_to_be_decoded() {
        let telemetry = Telemetry::start();
        let service = UnaryServer::new(Annotated::default()).max_decoding_message_size(8);
        let server = serve_known(service).await;
        let (_, status) = call_to_end(server.channel().await, KNOWN, request("more than eight bytes")).await;
        assert_eq!(status.code(), Code::OutOfRange);
        is_recorded(&telemetry, &status, "OUT_OF_RANGE", false).await;
    }

    #[tokio::test]
    async fn too_large_to_be_encoded() {
        let telemetry = Telemetry::start();
        let service = UnaryServer::new(Annotated::default()).max_encoding_message_size(8);
        let server = serve_known(service).await;
        // The handler succeeds, but the encoder fails.
        let (_, status) = call_to_end(server.channel().await, KNOWN, request("more than eight bytes")).await;
        assert_eq!(status.code(), Code::OutOfRange);
        is_recorded(&telemetry, &status, "OUT_OF_RANGE", false).await;
    }
}

/// Responses of a proxy or a framework instead of a gRPC service.
mod response_other_than_grpc {
    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;

    async fn is_recorded(
        response: impl IntoResponse + Clone + Send + Sync + 'static,
        code: &str,
        http_status: Option<&str>,
    ) {
        let telemetry = Telemetry::start();
        let routes = Routes::from(axum::Router::new().fallback(move || async move { response }));
        let server = serve_in_layer(routes).await;
        let _ = read_to_end(call(server.channel().await, "a.B/C", request("")).await).await;
        let error = http_status.map(|status| format!("the response has no grpc-status (HTTP status {status})"));
        let recorded = Recorded {
            method: "_OTHER",
            original: Some("a.B/C"),
            code,
            error: error.as_deref(),
        };
        recorded.assert_is_all_of(&telemetry).await;
    }

    #[tokio::test]
    async fn has_the_code_of_its_http_status() {
        is_recorded(StatusCode::NOT_FOUND, "UNIMPLEMENTED", Some("404 Not Found")).await;
        is_recorded(StatusCode::FORBIDDEN, "PERMISSION_DENIED", None).await;
        is_recorded(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            Some("503 Service Unavailable"),
        )
        .await;
    }

    #[tokio::test]
    async fn has_the_code_of_its_http_status_with_a_body() {
        is_recorded(
            (StatusCode::NOT_FOUND, "no such page"),
            "UNIMPLEMENTED",
            Some("404 Not Found"),
        )
        .await;
        is_recorded((StatusCode::UNAUTHORIZED, "who are you?"), "UNAUTHENTICATED", None).await;
        is_recorded((StatusCode::OK, "hello"), "UNKNOWN", Some("200 OK")).await;
    }
}

/// If the response body fails, the connection resets the stream.
#[tokio::test]
async fn failing_response_body() {
    let telemetry = Telemetry::start();
    let broken = || async {
        let first = tokio_stream::once(Ok("a piece"));
        let torn = tokio_stream::once(Err(std::io::Error::other("the disk is full")));
        axum::body::Body::from_stream(tokio_stream::StreamExt::chain(first, torn))
    };
    let server = serve_in_layer(Routes::from(axum::Router::new().fallback(broken))).await;
    let (_, status) = read_to_end(call(server.channel().await, "a.B/C", request("")).await).await;
    assert_eq!(status.code(), Code::Internal);
    let recorded = Recorded {
        method: "_OTHER",
        original: Some("a.B/C"),
        code: "INTERNAL",
        error: Some("the disk is full"),
    };
    recorded.assert_is_all_of(&telemetry).await;
}

/// Errors of tower services inside the layer, which tonic converts to a status.
mod an_error_instead_of_a_response {
    use std::time::Duration;

    use tower::limit::ConcurrencyLimitLayer;
    use tower::load_shed::LoadShedLayer;
    use tower::timeout::TimeoutLayer;

    use super::*;

    const RPC: &str = "kinds.Unary/Call";

    async fn is_recorded(server: RunningServer, code: Code, name: &str, error: Option<&str>) {
        let telemetry = Telemetry::start();
        let (_, status) = call_to_end(server.channel().await, RPC, request("wait")).await;
        assert_eq!(status.code(), code);
        let recorded = Recorded {
            method: RPC,
            original: None,
            code: name,
            error,
        };
        recorded.assert_is_all_of(&telemetry).await;
    }

    #[tokio::test]
    async fn error_other_than_a_status() {
        let layer = ServerLayer::new().known_methods([RPC]);
        let impatient = TimeoutLayer::new(Duration::from_millis(50));
        let server = Server::builder().layer(layer).layer(impatient);
        let server = serve_with(server, Plain::routes(&ScriptedService::default())).await;
        is_recorded(server, Code::Internal, "INTERNAL", Some("request timed out")).await;
    }

    #[tokio::test]
    async fn overload() {
        let layer = ServerLayer::new().known_methods([RPC]);
        let server = Server::builder()
            .layer(layer)
            .layer(LoadShedLayer::new())
            .layer(ConcurrencyLimitLayer::new(0));
        let server = serve_with(server, Plain::routes(&ScriptedService::default())).await;
        is_recorded(server, Code::ResourceExhausted, "RESOURCE_EXHAUSTED", None).await;
    }
}

/// The layer records methods that the attribute skips.
mod method_skipped_by_the_attribute {
    use super::*;

    struct Skipping;

    #[traced_service(skip(call))]
    #[tonic::async_trait]
    impl Unary for Skipping {
        async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
            Ok(Response::new(request.into_inner()))
        }
    }

    #[tokio::test]
    async fn is_recorded() {
        let telemetry = Telemetry::start();
        let server = serve_in_layer(Routes::new(UnaryServer::new(Skipping))).await;
        let (messages, _) = call_to_end(server.channel().await, "kinds.Unary/Call", request("")).await;
        assert_eq!(messages, 1);
        let recorded = Recorded {
            method: "kinds.Unary/Call",
            original: None,
            code: "OK",
            error: None,
        };
        recorded.assert_is_all_of(&telemetry).await;
    }
}
