//! A layer around a layer: the stricter word on trust counts.

use integration_tests::own_process::{block_on, in_own_process_with};
use otel_runtime::{Instrumentation, LoggedCalls};

use super::*;

/// The first of the [`servers`]. The others share what its layer has learned.
const FIRST: &str = "around all";

/// Servers with `outer` around `inner`: around all services, and around one.
async fn servers(outer: &ServerLayer, inner: &ServerLayer, routes: MakeRoutes) -> [(&'static str, RunningServer); 2] {
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
                // The first call of an outer layer that has joined the caller's trace by then.
                let restarts = is_stricter && content_type == "application/grpc";
                for (place, server) in servers(&outer, &inner, routes).await {
                    // The first call, and later ones.
                    for number in 0..3 {
                        let telemetry = Telemetry::start();
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
                    let telemetry = Telemetry::start();
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
        let telemetry = Telemetry::start();
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

/// The other options of the inner one have no effect, and a warning says so.
#[test]
fn warn_of_options_without_effect() {
    type Set = fn(ServerLayer) -> ServerLayer;

    let options: [(&str, Set); 10] = [
        ("response_headers", |layer| layer.response_headers(["x-a"])),
        ("response_trailers", |layer| layer.response_trailers(["x-a"])),
        ("failures", |layer| layer.failures(|_, _| None)),
        ("metric_attributes", |layer| {
            layer.metric_attributes(["tenant"], |_| [Some("acme")])
        }),
        ("message_counts", ServerLayer::message_counts),
        ("log_calls", |layer| layer.log_calls(LoggedCalls::All)),
        ("instrumentation", |layer| {
            layer.instrumentation(Instrumentation::builder().build())
        }),
        ("message_sizes", ServerLayer::message_sizes),
        ("tracing_span", ServerLayer::tracing_span),
        ("message_counts`, `tracing_span", |layer| {
            layer.tracing_span().message_counts()
        }),
    ];
    for (option, set) in options {
        in_own_process_with(&[("INNER_OPTION", option)], || {
            block_on(async {
                let telemetry = Telemetry::start();
                let server = Server::builder()
                    .layer(ServerLayer::new())
                    .layer(set(ServerLayer::new()));
                let server = serve_with(server, Annotated::routes(&ScriptedService::default())).await;
                for _ in 0..2 {
                    call(&server, "", Some("application/grpc"), "").await.unwrap();
                }
                telemetry.spans(2).await;
                let logs: Vec<_> = telemetry.logs().into_iter().map(|log| log.body.unwrap()).collect();
                let (have, it) = if option.contains(',') {
                    ("have", "them")
                } else {
                    ("has", "it")
                };
                let expected = format!(
                    "`{option}` {have} no effect on a `ServerLayer` inside another one: set {it} on the outer layer \
                     (logged once)"
                );
                assert_eq!(logs, [expected]);
            });
        });
    }
}

/// Also a call that the stricter one has started anew.
#[tokio::test]
async fn judge_failures_as_the_outer_one_does() {
    for (name, routes) in ROUTES {
        let outer = ServerLayer::new().known_methods([RPC]).failures(|_, _| Some(true));
        let inner = public().failures(|_, _| Some(false));
        for (place, server) in servers(&outer, &inner, routes).await {
            for number in 0..3 {
                let telemetry = Telemetry::start();
                call(&server, "", Some("application/grpc"), "5").await.unwrap_err();
                telemetry.discard_spans(usize::from(number == 0 && place == FIRST));
                let span = telemetry.span().await;
                let what = format!("{name}, {place}, {number}");
                assert_eq!(span.links.len(), 1, "{what}");
                assert_eq!(attributes(&span.attributes)["error.type"], "NOT_FOUND", "{what}");
                assert_eq!(span.status, SpanStatus::error("as asked: 5"), "{what}");
                let point = expected([
                    ("rpc.system.name", "grpc"),
                    ("rpc.method", RPC),
                    ("rpc.status_code", "NOT_FOUND"),
                    ("error.type", "NOT_FOUND"),
                ]);
                assert_eq!(telemetry.durations(1).await, [point], "{what}");
            }
        }
    }
}
