//! The path differs between the layer and the handler.

use otel_runtime::filter::{health_check, method, not, service};

use super::*;

/// Changes the path on the way from the layer to the router.
#[derive(Clone, Copy)]
struct Rewrite;

impl<S> tower::Layer<S> for Rewrite {
    type Service = tower::util::MapRequest<S, fn(http::Request<tonic::body::Body>) -> http::Request<tonic::body::Body>>;

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
    for filter in [
        Filter::new(|request| request.service() != "kinds.Unary"),
        not(service("kinds.Unary")),
        not(method(RPC)),
    ] {
        for (name, routes) in ROUTES {
            for (topology, server, prefix) in servers(&public().filter(filter.clone()), routes).await {
                let telemetry = Telemetry::start();
                call(&server, prefix, Some("application/grpc"), "").await.unwrap();
                assert_is_filtered(&telemetry, &format!("{topology}, {name}")).await;
            }
        }
    }
}

/// Below a prefix, too, a health check is one.
#[tokio::test]
async fn do_not_hide_health_checks() {
    let layer = ServerLayer::new().filter(not(health_check()));
    for (topology, server, prefix) in servers(&layer, Plain::routes).await {
        let telemetry = Telemetry::start();
        let channel = server.channel().await;
        let watch = format!("http://{}{prefix}/grpc.health.v1.Health/Watch", server.address);
        let request = http::Request::post(watch)
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::empty())
            .unwrap();
        tower::ServiceExt::oneshot(channel, request).await.unwrap();
        assert_is_filtered(&telemetry, topology).await;
    }
}
