//! The influence of a caller's baggage.

use integration_tests::telemetry::Telemetry;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;

use crate::caller::{PublicEndpoint, call, hostile, traceparent};

#[tokio::test]
async fn baggage_of_untrusted_callers_is_propagated_but_not_recorded() {
    for public_endpoint in [
        PublicEndpoint::Nowhere,
        PublicEndpoint::OnAttribute,
        PublicEndpoint::OnLayer,
    ] {
        let telemetry = Telemetry::start();
        let lies = [
            ("traceparent", &*traceparent("01")),
            ("baggage", "user.id=root,admin=true"),
        ];
        let outcome = call(public_endpoint, None, hostile(&lies)).await;
        assert_eq!(
            outcome.seen.baggage().get("admin").unwrap().as_str(),
            "true",
            "{public_endpoint:?}"
        );
        let forwarded = outcome.forwarded.get("baggage").unwrap().to_str().unwrap();
        assert!(forwarded.contains("admin=true"), "{public_endpoint:?}: {forwarded}");

        let recorded = format!("{:?} {:?}", outcome.spans, telemetry.metrics());
        assert!(
            !recorded.contains("admin") && !recorded.contains("root"),
            "{public_endpoint:?}"
        );
    }
}

#[tokio::test]
async fn no_baggage_without_its_propagator() {
    let _turn = Telemetry::start();
    let lies = [("traceparent", &*traceparent("01")), ("baggage", "admin=true")];
    let outcome = call(
        PublicEndpoint::Nowhere,
        Some(TraceContextPropagator::new()),
        hostile(&lies),
    )
    .await;
    assert!(outcome.seen.baggage().is_empty());
    assert!(outcome.forwarded.get("baggage").is_none());
    assert_eq!(TraceContextPropagator::new().fields().count(), 2);
}

#[tokio::test]
async fn extracted_baggage_is_limited_to_64_members_and_8192_bytes() {
    let _turn = Telemetry::start();
    let many: Vec<String> = (0..500).map(|number| format!("key{number}=x")).collect();
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&[("baggage", &many.join(","))])).await;
    assert_eq!(outcome.seen.baggage().len(), 64);

    let long = format!("key={}", "x".repeat(8192));
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&[("baggage", &long)])).await;
    assert!(outcome.seen.baggage().is_empty());
    assert!(outcome.forwarded.get("baggage").is_none());
    // The limit also applies to several header lines that are each short enough.
    let line = |key| format!("{key}={}", "x".repeat(4092));
    let lines = [line("ab"), line("cd"), line("ef")];
    let lines: Vec<_> = lines.iter().map(|line| ("baggage", &**line)).collect();
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lines)).await;
    let seen = outcome.seen.baggage();
    assert!(seen.get("ab").is_some() && seen.get("cd").is_some() && seen.get("ef").is_none());
}

/// Baggage that this service encoded anew could be three times as long, and exceed the header limit
/// of the next service.
#[tokio::test]
async fn callers_baggage_cannot_make_outgoing_calls_fail() {
    let _turn = Telemetry::start();
    let member = |number| format!("key{number}={}", "%22!".repeat(240));
    let baggage: Vec<String> = (0..8).map(member).collect();
    let state: Vec<String> = (10..35).map(|number| format!("{number}={}", "x".repeat(250))).collect();
    let lies = [
        ("traceparent", &*traceparent("01")),
        ("tracestate", &state.join(",")),
        ("baggage", &baggage.join(",")),
    ];
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
    assert_eq!(outcome.seen.baggage().len(), 8);
    let forwarded = outcome.forwarded.get("baggage").unwrap().to_str().unwrap();
    assert_eq!(forwarded, baggage.join(","));
    // Characters that must be encoded, and are not.
    let lies = [("baggage", "a=\"\"\",b=1")];
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
    assert_eq!(outcome.forwarded.get("baggage").unwrap(), "b=1");
}

/// An encoded separator in a property could add members, if it were decoded.
#[tokio::test]
async fn encoded_separators_do_not_add_members() {
    let _turn = Telemetry::start();
    let lie = format!("key=1;{};p=%2Cadmin%3Dtrue", "%2Cx".repeat(500));
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&[("baggage", &lie)])).await;
    assert_eq!(outcome.forwarded.get("baggage").unwrap(), &*lie);
}
