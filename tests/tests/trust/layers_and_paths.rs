//! A call that reaches a handler through a `ServerLayer` is that layer's: whatever its content type
//! is, whatever path it came by, and whatever stands in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes, expected};
use opentelemetry::trace::{SpanId, SpanKind, Status as SpanStatus, TraceId};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{Filter, ServerLayer, traced_service};
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower::ServiceBuilder;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const RPC: &str = "kinds.Unary/Call";

/// A layer that distrusts its callers, and captures a header.
fn public() -> ServerLayer {
    ServerLayer::new().public_endpoint().request_headers(["x-tenant"])
}

fn filtering() -> ServerLayer {
    public().filter(Filter::new(|request| request.service() != "kinds.Unary"))
}

/// A request of a stranger, who claims a trace.
fn strangers(text: &str) -> Request<Message> {
    let mut request = Request::new(Message::from(text));
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", traceparent.parse().unwrap());
    metadata.insert("x-tenant", "acme".parse().unwrap());
    request
}

/// Calls a server below `prefix`, with this `content-type`.
async fn call(
    server: &RunningServer,
    prefix: &str,
    content_type: Option<&'static str>,
    text: &str,
) -> Result<(), Status> {
    let channel = ServiceBuilder::new()
        .map_request(move |mut request: http::Request<tonic::body::Body>| {
            match content_type {
                Some(content_type) => {
                    let content_type = http::HeaderValue::from_static(content_type);
                    request.headers_mut().insert("content-type", content_type);
                }
                None => drop(request.headers_mut().remove("content-type")),
            }
            request
        })
        .service(server.channel().await);
    let origin = format!("http://{}{prefix}", server.address).parse().unwrap();
    UnaryClient::with_origin(channel, origin).call(strangers(text)).await?;
    Ok(())
}

/// Asserts that there is one span and one duration, of a stranger's call.
async fn assert_is_public(telemetry: &Telemetry, what: &str) {
    let span = telemetry.span().await;
    assert_eq!((&*span.name, &span.span_kind), (RPC, &SpanKind::Server), "{what}");
    assert_eq!(span.parent_span_id, SpanId::INVALID, "{what}");
    assert_ne!(
        span.span_context.trace_id(),
        TraceId::from_hex(TRACE).unwrap(),
        "{what}"
    );
    let links: Vec<_> = span.links.iter().map(|link| link.span_context.trace_id()).collect();
    assert_eq!(links, [TraceId::from_hex(TRACE).unwrap()], "{what}");
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.method"], RPC, "{what}");
    assert_eq!(found["rpc.status_code"], "OK", "{what}");
    assert_eq!(found.get("rpc.method_original"), None, "{what}");
    assert_eq!(found["rpc.request.header.x-tenant"], r#"["acme"]"#, "{what}");
    let point = expected([
        ("rpc.system.name", "grpc"),
        ("rpc.method", RPC),
        ("rpc.status_code", "OK"),
    ]);
    assert_eq!(telemetry.durations(1).await, [point], "{what}");
}

async fn assert_is_filtered(telemetry: &Telemetry, what: &str) {
    let spans = telemetry.spans(0).await;
    assert_eq!(spans.len(), 0, "{what}");
    telemetry.durations(0).await;
}

type MakeRoutes = fn(&ScriptedService) -> Routes;

const ROUTES: [(&str, MakeRoutes); 2] = [("annotated", Annotated::routes), ("plain", Plain::routes)];

mod content_types {
    use super::*;

    /// tonic serves all of them.
    const OTHERS: [Option<&str>; 9] = [
        Some("Application/grpc"),
        Some("APPLICATION/GRPC+PROTO"),
        Some("application/grpc\t; charset=utf-8"),
        Some("application/grpc-web"),
        Some("application/grpc-web+proto"),
        Some("application/grpcish"),
        Some("application/json"),
        Some("text/plain"),
        None,
    ];

    #[tokio::test]
    async fn do_not_bypass_the_layer() {
        for content_type in OTHERS {
            for (name, routes) in ROUTES {
                let telemetry = Telemetry::start();
                let server = Server::builder().layer(public());
                let server = serve_with(server, routes(&ScriptedService::default())).await;
                call(&server, "", content_type, "").await.unwrap();
                assert_is_public(&telemetry, &format!("{content_type:?}, {name}")).await;
            }
        }
    }

    #[tokio::test]
    async fn do_not_bypass_its_filters() {
        for content_type in OTHERS {
            for (name, routes) in ROUTES {
                let telemetry = Telemetry::start();
                let server = Server::builder().layer(filtering());
                let server = serve_with(server, routes(&ScriptedService::default())).await;
                call(&server, "", content_type, "").await.unwrap();
                assert_is_filtered(&telemetry, &format!("{content_type:?}, {name}")).await;
            }
        }
    }

    /// Nor its status, nor the context of what the handler does.
    #[tokio::test]
    async fn do_not_change_what_is_recorded() {
        for content_type in [None, Some("text/plain")] {
            let telemetry = Telemetry::start();
            let server = Server::builder().layer(public());
            let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
            call(&server, "", content_type, "13").await.unwrap_err();
            call(&server, "", content_type, "span").await.unwrap();
            let spans = telemetry.spans(3).await;
            let [failed, child, parent] = &spans[..] else {
                panic!("{spans:?}")
            };
            assert_eq!(failed.status, SpanStatus::error("as asked: 13"));
            assert_eq!(child.parent_span_id, parent.span_context.span_id());
        }
    }
}

mod paths {
    use super::*;

    /// Changes the path on the way from the layer to the router.
    #[derive(Clone, Copy)]
    struct Rewrite;

    impl<S> tower::Layer<S> for Rewrite {
        type Service =
            tower::util::MapRequest<S, fn(http::Request<tonic::body::Body>) -> http::Request<tonic::body::Body>>;

        fn layer(&self, inner: S) -> Self::Service {
            tower::util::MapRequest::new(inner, |mut request| {
                *request.uri_mut() = http::Uri::from_static("/kinds.Unary/Call");
                request
            })
        }
    }

    /// Servers, and the prefix to call each by.
    async fn servers(layer: &ServerLayer, routes: MakeRoutes) -> Vec<(&'static str, RunningServer, &'static str)> {
        let inside = || {
            routes(&ScriptedService::default())
                .into_axum_router()
                .layer(layer.clone())
        };
        let bare = || routes(&ScriptedService::default()).into_axum_router();
        let serve_router = |router: axum::Router| serve(Routes::from(router));
        let outside = || Server::builder().layer(layer.clone());
        let both = || inside_twice(inside());
        vec![
            (
                "in nest",
                serve_router(axum::Router::new().nest("/api", inside())).await,
                "/api",
            ),
            (
                "in nest_service",
                serve_router(axum::Router::new().nest_service("/a/b", inside())).await,
                "/a/b",
            ),
            ("one prefix", serve_router(both()).await, "/one"),
            ("other prefix", serve_router(both()).await, "/other"),
            (
                "around nest",
                serve_with(outside(), Routes::from(axum::Router::new().nest("/api", bare()))).await,
                "/api",
            ),
            (
                "rewritten",
                serve_with(outside().layer(Rewrite), routes(&ScriptedService::default())).await,
                "/anything",
            ),
        ]
    }

    fn inside_twice(router: axum::Router) -> axum::Router {
        axum::Router::new().nest("/one", router.clone()).nest("/other", router)
    }

    #[tokio::test]
    async fn do_not_bypass_the_layer() {
        for (name, routes) in ROUTES {
            for known in [true, false] {
                let layer = if known { public().known_methods([RPC]) } else { public() };
                for (topology, server, prefix) in servers(&layer, routes).await {
                    // The first call, and a later one.
                    for _ in 0..2 {
                        let telemetry = Telemetry::start();
                        call(&server, prefix, Some("application/grpc"), "").await.unwrap();
                        if (name, topology) == ("plain", "rewritten") {
                            // The path that the layer sees is all that it knows.
                            assert_eq!(telemetry.span().await.name, RPC);
                            continue;
                        }
                        assert_is_public(&telemetry, &format!("{topology}, {name}")).await;
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn do_not_bypass_its_filters() {
        for (name, routes) in ROUTES {
            for (topology, server, prefix) in servers(&filtering(), routes).await {
                let telemetry = Telemetry::start();
                call(&server, prefix, Some("application/grpc"), "").await.unwrap();
                assert_is_filtered(&telemetry, &format!("{topology}, {name}")).await;
            }
        }
    }
}

/// A layer around a layer: the stricter word on trust counts.
mod two_layers {
    use super::*;

    /// The first of the [`servers`]. The others share what its layer has learned.
    const FIRST: &str = "around all";

    /// Servers with `outer` around `inner`: around all services, and around one.
    async fn servers(
        outer: &ServerLayer,
        inner: &ServerLayer,
        routes: MakeRoutes,
    ) -> [(&'static str, RunningServer); 2] {
        let all = Server::builder().layer(outer.clone()).layer(inner.clone());
        let one = routes(&ScriptedService::default())
            .into_axum_router()
            .layer(inner.clone());
        let one = Routes::from(axum::Router::new().merge(one));
        [
            (FIRST, serve_with(all, routes(&ScriptedService::default())).await),
            (
                "around one",
                serve_with(Server::builder().layer(outer.clone()), one).await,
            ),
        ]
    }

    #[tokio::test]
    async fn of_which_one_distrusts_are_a_root() {
        for (name, routes) in ROUTES {
            for content_type in ["application/grpc", "text/plain"] {
                for (outer, inner, is_stricter) in [
                    (ServerLayer::new(), public(), true),
                    (public(), ServerLayer::new(), false),
                ] {
                    // The first call of each outer layer that has joined the caller's trace by then.
                    let restarts = is_stricter && content_type == "application/grpc";
                    for (place, server) in servers(&outer, &inner, routes).await {
                        // The first call, and later ones.
                        for number in 0..3 {
                            let mut telemetry = Telemetry::start();
                            call(&server, "", Some(content_type), "").await.unwrap();
                            telemetry.discard_spans(usize::from(number == 0 && place == FIRST && restarts));
                            assert_is_public(&telemetry, &format!("{place}, {name}, {content_type}")).await;
                        }
                    }
                }
            }
        }
    }

    #[tokio::test]
    async fn of_which_one_filters_record_nothing() {
        for (name, routes) in ROUTES {
            for (outer, inner, is_stricter) in [
                (ServerLayer::new(), filtering(), true),
                (filtering(), ServerLayer::new(), false),
            ] {
                for (place, server) in servers(&outer, &inner, routes).await {
                    for number in 0..3 {
                        let mut telemetry = Telemetry::start();
                        call(&server, "", Some("application/grpc"), "").await.unwrap();
                        telemetry.discard_spans(usize::from(number == 0 && place == FIRST && is_stricter));
                        assert_is_filtered(&telemetry, &format!("{place}, {name}")).await;
                    }
                }
            }
        }
    }

    /// The outer one waits with its call, and has it however it ends.
    #[tokio::test]
    async fn have_a_call_that_nothing_answers() {
        for (name, routes) in ROUTES {
            let service = ScriptedService::default();
            let stricter = routes(&service).into_axum_router().layer(public());
            let router = routes(&service).into_axum_router().nest("/stricter", stricter);
            let server = Server::builder().layer(ServerLayer::new().known_methods([RPC]));
            let server = serve_with(server, Routes::from(router)).await;
            let mut telemetry = Telemetry::start();
            call(&server, "/stricter", Some("application/grpc"), "").await.unwrap();
            telemetry.discard_spans(1);
            assert_is_public(&telemetry, name).await;
            drop(telemetry);
            let telemetry = Telemetry::start();
            tokio::select! {
                reply = call(&server, "", Some("application/grpc"), "wait") => panic!("it does not reply: {reply:?}"),
                () = service.waits() => {}
            }
            let span = telemetry.span().await;
            assert_eq!(attributes(&span.attributes)["rpc.status_code"], "CANCELLED", "{name}");
            telemetry.durations(1).await;
            call(&server, "", Some("application/grpc"), "panic").await.unwrap_err();
            let spans = telemetry.spans(2).await;
            assert_eq!(attributes(&spans[1].attributes)["error.type"], "panic", "{name}");
        }
    }

    #[tokio::test]
    async fn join_their_attributes() {
        for (name, routes) in ROUTES {
            let outer = ServerLayer::new().request_headers(["x-tenant"]).known_methods([RPC]);
            let inner = ServerLayer::new()
                .request_headers(["x-tenant", "te"])
                .span_attributes(|_| [opentelemetry::KeyValue::new("added.by", "inner")]);
            for (place, server) in servers(&outer, &inner, routes).await {
                let telemetry = Telemetry::start();
                call(&server, "", Some("application/grpc"), "").await.unwrap();
                let found = attributes(&telemetry.span().await.attributes);
                assert_eq!(found["added.by"], "inner", "{name}, {place}");
                assert_eq!(found["rpc.request.header.te"], r#"["trailers"]"#, "{name}, {place}");
                assert_eq!(found["rpc.request.header.x-tenant"], r#"["acme"]"#, "{name}, {place}");
            }
        }
    }
}

/// A handler that calls its own method.
mod a_method_that_calls_itself {
    use super::*;

    macro_rules! recursive {
        ($name:ident, $(#[$attribute:meta])*) => {
            #[derive(Clone)]
            struct $name {
                layer: Option<ServerLayer>,
            }

            $(#[$attribute])*
            #[tonic::async_trait]
            impl Unary for $name {
                async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                    let text = request.into_inner().text;
                    if let Some(rest) = text.strip_prefix('x') {
                        let routes = Routes::new(UnaryServer::new(self.clone()));
                        match &self.layer {
                            Some(layer) => {
                                let within = tower::Layer::layer(layer, routes);
                                UnaryClient::new(within).call(Message::from(rest)).await?
                            }
                            None => UnaryClient::new(routes).call(Message::from(rest)).await?,
                        };
                    }
                    Ok(Response::new(Message::default()))
                }
            }
        };
    }

    recursive!(WithAttribute, #[traced_service]);
    recursive!(WithoutAttribute,);

    async fn assert_has_a_span_for_each_call(what: &str, server: RunningServer) {
        let telemetry = Telemetry::start();
        UnaryClient::new(server.channel().await)
            .call(Message::from("xxx"))
            .await
            .unwrap();
        let spans: Vec<SpanData> = telemetry.spans(4).await;
        for pair in spans.windows(2) {
            assert_eq!(pair[0].name, RPC, "{what}");
            assert_eq!(pair[0].parent_span_id, pair[1].span_context.span_id(), "{what}");
        }
        telemetry.durations(4).await;
    }

    #[tokio::test]
    async fn through_a_generated_client_has_a_span_for_each_call() {
        let layer = ServerLayer::new().known_methods([RPC]);
        let annotated =
            |layer: &Option<ServerLayer>| Routes::new(UnaryServer::new(WithAttribute { layer: layer.clone() }));
        assert_has_a_span_for_each_call("attribute", serve(annotated(&None)).await).await;
        let both = Server::builder().layer(layer.clone());
        assert_has_a_span_for_each_call("both outside", serve_with(both, annotated(&None)).await).await;
        let inner = Some(layer.clone());
        assert_has_a_span_for_each_call("layer within", serve(annotated(&inner)).await).await;
        let both = Server::builder().layer(layer.clone());
        assert_has_a_span_for_each_call("both", serve_with(both, annotated(&inner)).await).await;
        let plain = Routes::new(UnaryServer::new(WithoutAttribute { layer: inner }));
        let both = Server::builder().layer(layer);
        assert_has_a_span_for_each_call("layer", serve_with(both, plain).await).await;
    }
}

/// A layer in between that catches panics, as tower-http's `CatchPanicLayer` does.
mod a_panic_that_another_layer_catches {
    use super::*;

    #[derive(Clone, Copy)]
    struct Catch;

    #[derive(Clone)]
    struct Catching<S>(S);

    struct Caught<F>(Pin<Box<F>>);

    impl<S> tower::Layer<S> for Catch {
        type Service = Catching<S>;

        fn layer(&self, inner: S) -> Catching<S> {
            Catching(inner)
        }
    }

    impl<S, R> tower::Service<R> for Catching<S>
    where
        S: tower::Service<R, Response = http::Response<tonic::body::Body>>,
    {
        type Response = S::Response;
        type Error = S::Error;
        type Future = Caught<S::Future>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(cx)
        }

        fn call(&mut self, request: R) -> Self::Future {
            Caught(Box::pin(self.0.call(request)))
        }
    }

    impl<F, E> Future for Caught<F>
    where
        F: Future<Output = Result<http::Response<tonic::body::Body>, E>>,
    {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
            catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))).unwrap_or_else(|_| {
                let mut response = http::Response::new(tonic::body::Body::empty());
                *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
                Poll::Ready(Ok(response))
            })
        }
    }

    #[tokio::test]
    async fn is_recorded_as_one() {
        let telemetry = Telemetry::start();
        let server = Server::builder().layer(public()).layer(Catch);
        let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
        let status = call(&server, "", Some("application/grpc"), "panic").await.unwrap_err();
        assert_eq!(status.code(), Code::Unknown);

        let span = telemetry.span().await;
        assert_eq!(span.status, SpanStatus::error("as asked"));
        let found = attributes(&span.attributes);
        assert_eq!(
            (&*found["rpc.status_code"], &*found["error.type"]),
            ("UNKNOWN", "panic")
        );
        let durations = telemetry.durations(1).await;
        assert_eq!(durations[0]["error.type"], "panic");
        let [log] = &telemetry.logs()[..] else {
            panic!("{:?}", telemetry.logs())
        };
        assert_eq!(log.event_name, Some("rpc.server.call.exception"));
        assert_eq!(log.attributes["exception.message"], "as asked");
        assert_eq!(
            log.trace,
            Some((span.span_context.trace_id(), span.span_context.span_id()))
        );
    }
}
