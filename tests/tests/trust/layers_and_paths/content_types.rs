//! Callers choose the `content-type`.

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
