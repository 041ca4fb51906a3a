//! `ClientLayer::log_calls`: one event for each call, inside its span.

use integration_tests::client::{Kind, call, endpoint};
use integration_tests::free_address::free_address;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, expected};
use otel_runtime::{ClientLayer, LoggedCalls};
use tonic::Request;
use tower::Layer;

#[tokio::test]
async fn tells_the_outcome_inside_the_span() {
    let server = serve(ScriptedService::default().routes()).await;
    let closed = free_address();
    for (address, kind, text, severity, code, error, received) in [
        (server.address, Kind::Unary, "", "INFO", "OK", None, "1"),
        (
            server.address,
            Kind::Unary,
            "5",
            "WARN",
            "NOT_FOUND",
            Some("NOT_FOUND"),
            "0",
        ),
        (
            server.address,
            Kind::Bidi,
            "later 14",
            "WARN",
            "UNAVAILABLE",
            Some("UNAVAILABLE"),
            "1",
        ),
        (
            closed,
            Kind::Unary,
            "",
            "WARN",
            "UNAVAILABLE",
            Some("connection_refused"),
            "0",
        ),
    ] {
        let telemetry = Telemetry::start();
        let layer = ClientLayer::new("shop.example:50051").log_calls(LoggedCalls::All);
        let channel = layer.layer(endpoint(address).connect_lazy());
        let _ = call(channel, kind, Request::new(text)).await;

        let span = telemetry.span().await;
        let mut logs = telemetry.logs();
        logs.retain(|log| log.event_name == Some("rpc.client.call"));
        let [log] = &logs[..] else { panic!("{text}: {logs:?}") };
        let span = (span.span_context.trace_id(), span.span_context.span_id());
        assert_eq!(log.trace, Some(span), "{text}");
        assert_eq!(
            (log.severity, &*log.body.clone().unwrap()),
            (Some(severity), "outgoing call")
        );
        let mut fields = log.attributes.clone();
        let duration: f64 = fields.remove("rpc.client.call.duration").unwrap().parse().unwrap();
        let durations = telemetry.metrics().client_durations();
        let [(_, 1, sum)] = durations[..] else {
            panic!("{durations:?}")
        };
        assert!((duration - sum).abs() < 1e-12, "{duration} is not {sum}");
        let mut expected = expected([
            ("rpc.method", kind.method()),
            ("rpc.status_code", code),
            ("server.address", "shop.example"),
            ("server.port", "50051"),
            ("rpc.messages.received", received),
        ]);
        expected.extend(error.map(|error| ("error.type".to_owned(), error.to_owned())));
        assert_eq!(fields, expected, "{text}");
    }
}
