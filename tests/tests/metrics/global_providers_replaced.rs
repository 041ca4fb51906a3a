//! All RPCs are recorded with the global providers of the time of the first RPC.
//!
//! Providers that replace them later receive nothing, not even the end of an RPC in progress.

use std::collections::BTreeMap;

use integration_tests::client::{self, Kind};
use integration_tests::counted::{CountingTelemetry, series};
use integration_tests::coverage::Coverage;
use integration_tests::own_process::in_own_process_async;
use integration_tests::scripted::ScriptedService;
use opentelemetry::global;
use otel_runtime::ClientLayer;
use tonic::Request;
use tower::Layer;

fn make_global(counted: &CountingTelemetry) {
    global::set_tracer_provider(counted.tracers.clone());
    global::set_meter_provider(counted.meters.clone());
}

#[test]
fn first_global_providers_record_all_rpcs() {
    in_own_process_async(async {
        let (first, second) = (CountingTelemetry::default(), CountingTelemetry::default());
        for coverage in Coverage::ALL {
            let handler = ScriptedService::default();
            let server = coverage.serve(&handler).await;
            let channel = ClientLayer::new("here").layer(server.channel().await);
            for kind in Kind::ALL {
                make_global(&first);
                let under_way = tokio::spawn(client::call(channel.clone(), kind, Request::new("wait")));
                handler.waits().await;
                make_global(&second);
                handler.release();
                assert_eq!(under_way.await.unwrap().unwrap(), 1, "{coverage:?}, {kind:?}");
                let replied = client::call(channel.clone(), kind, Request::new("")).await;
                assert_eq!(replied.unwrap(), 1, "{coverage:?}, {kind:?}");
            }
        }

        // Two RPCs for each kind and each coverage, at both ends.
        let measured = first.after(2 * 4 * 3 * 2).await;
        let of_methods = |end| {
            let labels = Kind::ALL.map(|kind| format!("{} {end}", kind.method()));
            series(labels.each_ref().map(|labels| (&**labels, 6)))
        };
        assert_eq!(measured["rpc.server.call.duration"], of_methods("OK"));
        assert_eq!(measured["rpc.client.call.duration"], of_methods("OK here"));
        for side in ["server", "client"] {
            let active = &measured[&format!("rpc.{side}.active_requests")];
            assert!(active.values().all(|active| *active == 0), "{active:?}");
        }
        assert_eq!(second.spans.started(), 0);
        assert_eq!(second.series(), BTreeMap::new());
    });
}
