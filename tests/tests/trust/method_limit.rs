//! A service may have 2,000 methods in its metrics, and the others share one time series.

use integration_tests::counted::CountingTelemetry;
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::server::serve_with;
use otel_runtime::ServerLayer;
use tonic::Code;
use tonic::service::Routes;
use tonic::transport::{Channel, Server};

use crate::ALLOCATED;

async fn call(channel: Channel, path: &str) -> Code {
    let (_, status) = call_to_end(channel, path, request("")).await;
    status.code()
}

/// Returns routes that answer every path, as a proxy may.
fn of_any_method() -> Routes {
    async fn answer() -> axum::response::Response {
        let empty_message = axum::body::Body::from(vec![0; 5]);
        let mut response = axum::response::Response::new(empty_message);
        let headers = response.headers_mut();
        headers.insert("content-type", "application/grpc".parse().unwrap());
        response
    }
    Routes::from(axum::Router::new().fallback(answer))
}

#[test]
fn methods_beyond_the_limit_share_one_series() {
    in_own_process_async(async {
        let counted = CountingTelemetry::with_series(10_000);
        let layer = ServerLayer::new().instrumentation(counted.instrumentation.clone());
        let server = serve_with(Server::builder().layer(layer), of_any_method()).await;
        let channel = server.channel().await;
        let method = |number: u64| format!("shop.Service{}/Method{number}", number % 100);
        let mut in_use = Vec::new();
        for round in 1..=2 {
            for number in 0..2000 {
                assert_eq!(call(channel.clone(), &method(number)).await, Code::Unknown);
            }
            let found = counted.after(round * 2000).await;
            let durations = &found["rpc.server.call.duration"];
            assert_eq!(durations.len(), 2000);
            for number in 0..2000 {
                let labels = format!("UNKNOWN {} UNKNOWN", method(number));
                assert_eq!(durations.get(&labels), Some(&i64::try_from(round).unwrap()), "{labels}");
            }
            // Without `_OTHER`: it has no RPC, though each method's first one starts as such.
            assert_eq!(found["rpc.server.active_requests"].len(), 2000);
            assert!(found["rpc.server.active_requests"].values().all(|active| *active == 0));
            drop(found);
            in_use.push(ALLOCATED.allocated());
        }
        println!("in use after each round: {in_use:?}");
        assert!(in_use[1] < in_use[0] + 100_000, "{in_use:?}");

        // Beyond the limit, a method never becomes known.
        for _ in 0..10 {
            assert_eq!(call(channel.clone(), "shop.More/Method").await, Code::Unknown);
        }
        let found = counted.after(4010).await;
        let durations = &found["rpc.server.call.duration"];
        assert_eq!(durations.len(), 2001);
        assert_eq!(durations["UNKNOWN _OTHER UNKNOWN"], 10);
    });
}
