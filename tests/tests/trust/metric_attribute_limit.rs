//! Callers with ever new values of a metric's attribute add neither time series nor memory.

use std::ops::Range;

use integration_tests::client::{Kind, call as call_with};
use integration_tests::counted::{CountingTelemetry, Series};
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{serve, serve_with};
use otel_runtime::{ClientLayer, RpcRequest, ServerLayer};
use tonic::Request;
use tonic::transport::{Channel, Server};
use tower::Layer;

use crate::ALLOCATED;

/// Methods, the request's text, and the code of the response.
const KINDS: [(&str, &str, &str); 4] = [
    ("kinds.Unary/Call", "0", "OK"),
    ("kinds.Unary/Call", "5", "NOT_FOUND"),
    ("kinds.ServerStream/Call", "0", "OK"),
    ("kinds.ServerStream/Call", "5", "NOT_FOUND"),
];

fn tenant<'a>(request: &RpcRequest<'a>) -> [Option<&'a str>; 1] {
    [request.headers().get("x-tenant").and_then(|value| value.to_str().ok())]
}

async fn call(channel: &Channel, number: usize, (rpc, text, _): (&str, &str, &str)) {
    let mut request = request(text);
    let tenant = format!("tenant {number}").parse().unwrap();
    request.metadata_mut().insert("x-tenant", tenant);
    call_to_end(channel.clone(), rpc, request).await;
}

/// Returns the series that begin with `start`, for the first 100 tenants and for all others.
fn series(start: &str, each: i64, others: i64) -> Series {
    let tenants = (0..100).map(|number| (format!("{start} tenant {number}"), each));
    tenants.chain([(format!("{start} _OTHER"), others)]).collect()
}

#[test]
fn ten_thousand_tenants_have_101_series_for_a_method_and_code() {
    in_own_process_async(async {
        const FIRST: Range<usize> = 0..200;
        const LATER: Range<usize> = 200..10_000;
        let counted = CountingTelemetry::with_series(20_000);
        let layer = ServerLayer::new()
            .instrumentation(counted.instrumentation.clone())
            .metric_attributes(["tenant"], tenant)
            .known_methods(KINDS.map(|(rpc, ..)| rpc));
        let routes = ScriptedService::default().routes();
        let server = serve_with(Server::builder().layer(layer), routes).await;
        let channel = server.channel().await;

        for number in FIRST {
            for kind in KINDS {
                call(&channel, number, kind).await;
            }
        }
        drop(counted.after(800).await);
        let before = ALLOCATED.allocated();
        for number in LATER {
            call(&channel, number, KINDS[number % KINDS.len()]).await;
        }
        let found = counted.after(800 + 9_800).await;

        let durations = KINDS.map(|(rpc, _, code)| series(&format!("{rpc} {code}"), 1, 100 + 9_800 / 4));
        let active = KINDS.map(|(rpc, ..)| series(rpc, 0, 0));
        let all = |of_each: [Series; 4]| of_each.into_iter().flatten().collect::<Series>();
        assert_eq!(found["rpc.server.call.duration"], all(durations));
        assert_eq!(found["rpc.server.active_requests"], all(active));
        drop(found);
        let after = ALLOCATED.allocated();
        println!("in use before and after: {before}, {after}");
        assert!(after < before + 100_000, "{before}, {after}");
    });
}

/// A program may make a layer for each tenant, so that each of them meets one value.
#[tokio::test]
async fn layers_of_one_tenant_each_have_1000_series_together() {
    for (limit, tenants) in [(100, 1000), (1050, 1050)] {
        let counted = CountingTelemetry::with_series(20_000);
        let server = serve(ScriptedService::default().routes()).await;
        let channel = server.channel().await;
        for _ in 0..2 {
            for number in 0..1100 {
                let layer = ClientLayer::new("shop.example")
                    .instrumentation(counted.instrumentation.clone())
                    .metric_attributes(["tenant", "zone"], |request| [tenant(request)[0], None])
                    .metric_attribute_limit(limit);
                let mut request = Request::new("");
                let tenant = format!("tenant {number}").parse().unwrap();
                request.metadata_mut().insert("x-tenant", tenant);
                call_with(layer.layer(channel.clone()), Kind::Unary, request)
                    .await
                    .unwrap();
            }
        }
        // Other keys have their own room.
        let other = ClientLayer::new("shop.example")
            .instrumentation(counted.instrumentation.clone())
            .metric_attributes(["tier"], |_| [Some("gold")]);
        call_with(other.layer(channel), Kind::Unary, Request::new(""))
            .await
            .unwrap();
        let mut found = counted.after(2201).await;
        for metric in ["rpc.client.call.duration", "rpc.client.active_requests"] {
            let all = found.get_mut(metric).unwrap();
            let count = all.len();
            all.retain(|labels, _| !labels.contains("gold"));
            assert_eq!(count - all.len(), 1, "{metric}");
        }
        let durations = &found["rpc.client.call.duration"];
        let others: Vec<_> = durations
            .iter()
            .filter(|(labels, _)| labels.contains("_OTHER"))
            .collect();
        assert_eq!(durations.len(), tenants + 1);
        assert!(
            matches!(others[..], [(labels, count)]
            if labels.contains("_OTHER _OTHER") && *count == 2 * (1100 - i64::try_from(tenants).unwrap())),
            "{others:?}"
        );
        assert_eq!(found["rpc.client.active_requests"].len(), tenants + 1);
    }
}
