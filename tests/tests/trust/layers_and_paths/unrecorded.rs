//! A layer that distrusts its callers, and does not record some of their calls.

use super::*;

/// The handler's own spans are not in the stranger's trace.
#[tokio::test]
async fn calls_do_not_continue_the_strangers_trace() {
    for (name, routes) in ROUTES {
        for (layer, is_strangers) in [
            (filtering(), false),
            (ServerLayer::new().filter(Filter::new(|_| false)), true),
        ] {
            let telemetry = Telemetry::start();
            let server = serve_with(Server::builder().layer(layer), routes(&ScriptedService::default())).await;
            call(&server, "", Some("application/grpc"), "span").await.unwrap();
            let child = telemetry.span().await;
            assert_eq!(child.name, "child", "{name}");
            let trace = TraceId::from_hex(TRACE).unwrap();
            assert_eq!(child.span_context.trace_id() == trace, is_strangers, "{name}");
            telemetry.durations(0).await;
        }
    }
}
