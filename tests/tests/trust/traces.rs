//! The influence of a caller's `traceparent` and `tracestate`.

use std::sync::Arc;

use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::UnaryServer;
use integration_tests::server::{serve, serve_with};
use integration_tests::telemetry::Telemetry;
use opentelemetry::trace::{SpanId, TraceId};
use otel_runtime::{Instrumentation, ServerLayer};
use tonic::service::Routes;
use tonic::transport::Server;

use crate::caller::{Front, PARENT, Private, Public, PublicEndpoint, TRACE, UNTRUSTED, call, hostile, traceparent};

#[tokio::test]
async fn trusted_caller_can_enable_sampling() {
    let _turn = Telemetry::start();
    let outcome = call(
        PublicEndpoint::Nowhere,
        None,
        hostile(&[("traceparent", &traceparent("01"))]),
    )
    .await;
    let [span] = &outcome.spans[..] else {
        panic!("{:?}", outcome.spans)
    };
    assert_eq!(span.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());

    for public_endpoint in UNTRUSTED {
        let outcome = call(public_endpoint, None, hostile(&[("traceparent", &traceparent("01"))])).await;
        assert_eq!(outcome.spans.len(), 0, "{public_endpoint:?}");
    }
}

#[tokio::test]
async fn trusted_caller_can_disable_spans_but_not_metrics() {
    let telemetry = Telemetry::start();
    let service = || Front {
        seen: Arc::default(),
        behind: None,
        instrumentation: Instrumentation::builder().build(),
    };
    let unsampled = || hostile(&[("traceparent", &traceparent("00"))]);
    let server = serve(Routes::new(UnaryServer::new(Private(service())))).await;
    UnaryClient::new(server.channel().await)
        .call(unsampled())
        .await
        .unwrap();
    telemetry.durations(1).await;
    telemetry.spans(0).await;

    let server = serve(Routes::new(UnaryServer::new(Public(service())))).await;
    UnaryClient::new(server.channel().await)
        .call(unsampled())
        .await
        .unwrap();
    assert!(telemetry.span().await.span_context.is_sampled());
}

#[tokio::test]
async fn untrusted_callers_trace_is_linked_but_not_propagated() {
    let _turn = Telemetry::start();
    let lies = [("traceparent", &*traceparent("01")), ("tracestate", "forged=1")];
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
    let forwarded = outcome.forwarded.get("traceparent").unwrap().to_str().unwrap();
    assert!(forwarded.contains(TRACE));
    assert_eq!(outcome.forwarded.get("tracestate").unwrap(), "forged=1");

    for public_endpoint in UNTRUSTED {
        let outcome = call(public_endpoint, None, hostile(&lies)).await;
        let forwarded = outcome.forwarded.get("traceparent").unwrap().to_str().unwrap();
        assert!(
            !forwarded.contains(TRACE) && !forwarded.contains(PARENT),
            "{public_endpoint:?}"
        );
        let trace_state = outcome.forwarded.get("tracestate");
        assert!(
            trace_state.is_none_or(tonic::metadata::MetadataValue::is_empty),
            "{public_endpoint:?}"
        );
    }
}

#[tokio::test]
async fn untrusted_caller_with_many_parents_has_no_link() {
    let cases = UNTRUSTED.into_iter().flat_map(|public_endpoint| {
        [
            (public_endpoint, 1, 1),
            (public_endpoint, 2, 0),
            (public_endpoint, 99, 0),
        ]
    });
    for (public_endpoint, claimed, links) in cases {
        let telemetry = Telemetry::start();
        let front = Front {
            seen: Arc::default(),
            behind: None,
            instrumentation: Instrumentation::builder().build(),
        };
        let server = match public_endpoint {
            PublicEndpoint::OnLayer => {
                let routes = Routes::new(UnaryServer::new(Private(front)));
                serve_with(Server::builder().layer(ServerLayer::new().public_endpoint()), routes).await
            }
            _ => serve(Routes::new(UnaryServer::new(Public(front)))).await,
        };
        let parents: Vec<String> = (1..=claimed)
            .map(|number| format!("00-{TRACE}-{number:016x}-01"))
            .collect();
        let parents: Vec<_> = parents.iter().map(|parent| ("traceparent", &**parent)).collect();
        UnaryClient::new(server.channel().await)
            .call(hostile(&parents))
            .await
            .unwrap();
        let span = telemetry.span().await;
        assert_eq!(span.parent_span_id, SpanId::INVALID, "{public_endpoint:?}");
        assert_eq!(span.links.len(), links, "{public_endpoint:?} {claimed}");
    }
}

#[tokio::test]
async fn tracestate_is_limited_to_32_members_and_4096_bytes() {
    let _turn = Telemetry::start();
    let members: Vec<String> = (0..500).map(|number| format!("member{number}=x")).collect();
    // More than 32 make the list invalid.
    for (count, kept) in [(32, members[..32].join(",")), (33, String::new()), (500, String::new())] {
        let lies = [
            ("traceparent", &*traceparent("01")),
            ("tracestate", &members[..count].join(",")),
        ];
        let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
        assert_eq!(outcome.spans[0].span_context.trace_state().header(), kept);
        let forwarded = outcome.forwarded.get("tracestate").map(|state| state.to_str().unwrap());
        assert_eq!(forwarded, Some(kept.as_str()).filter(|kept| !kept.is_empty()));
    }

    let members: Vec<String> = (10..40).map(|number| format!("{number}={}", "x".repeat(250))).collect();
    let parent = traceparent("01");
    // Send the members in one header line, and in one line each.
    for lines in [vec![members.join(",")], members.clone()] {
        let mut lies = vec![("traceparent", &*parent)];
        lies.extend(lines.iter().map(|line| ("tracestate", &**line)));
        let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
        let state = outcome.spans[0].span_context.trace_state().header();
        assert_eq!(state, members[..16].join(","));
        assert!(state.len() <= 4096 && state.len() + members[16].len() + 1 > 4096);
        assert_eq!(outcome.forwarded.get("tracestate").unwrap().to_str().unwrap(), state);
    }
}
