//! Inside `ServerLayer`, the RPC's context is current, even for services without the attribute.
//!
//! This covers interceptors, handlers and response streams.

use integration_tests::coverage::{Coverage, RPCS, STREAMING};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::serve_with;
use integration_tests::telemetry::{Shared, Telemetry};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{Span, TraceContextExt, TraceId, Tracer};
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::ServerLayer;
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic::{Code, Request};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn in_a_trace(text: &str) -> Request<integration_tests::kinds::Message> {
    let mut request = request(text);
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    request.metadata_mut().insert("baggage", "user=ada".parse().unwrap());
    request
}

fn assert_is_child_of(rpc: &SpanData, child: &SpanData) {
    assert_eq!(child.parent_span_id, rpc.span_context.span_id());
    assert_eq!(child.span_context.trace_id(), rpc.span_context.trace_id());
    assert_eq!(child.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
}

async fn a_span_made_there_is_a_child(text: &str, rpcs: &[&str]) {
    for coverage in Coverage::ALL {
        for rpc in rpcs {
            let telemetry = Telemetry::start();
            let server = coverage.serve(&ScriptedService::default()).await;
            let (_, status) = call_to_end(server.channel().await, rpc, in_a_trace(text)).await;
            assert_eq!(status.code(), Code::Ok);

            let spans = telemetry.spans(2).await;
            let [child, span] = &spans[..] else { unreachable!() };
            assert_eq!((&*child.name, &*span.name), ("child", *rpc));
            assert_is_child_of(span, child);
        }
    }
}

#[tokio::test]
async fn context_is_current_in_a_handler() {
    a_span_made_there_is_a_child("span", &RPCS).await;
}

#[tokio::test]
async fn context_is_current_in_a_response_stream() {
    a_span_made_there_is_a_child("later span", &STREAMING).await;
}

async fn a_span_made_there_when_it_is_dropped_is_a_child(text: &str, rpcs: &[&str]) {
    for coverage in Coverage::ALL {
        for rpc in rpcs {
            let telemetry = Telemetry::start();
            let handler = ScriptedService::default();
            let server = coverage.serve(&handler).await;
            tokio::select! {
                end = call_to_end(server.channel().await, rpc, in_a_trace(text)) => panic!("it does not end: {end:?}"),
                () = handler.waits() => {}
            }
            let spans = telemetry.spans(2).await;
            let [child, span] = &spans[..] else { unreachable!() };
            assert_eq!((&*child.name, &*span.name), ("child", *rpc));
            assert_is_child_of(span, child);
        }
    }
}

#[tokio::test]
async fn context_is_current_when_a_handler_is_dropped() {
    a_span_made_there_when_it_is_dropped_is_a_child("hold", &RPCS).await;
}

#[tokio::test]
async fn context_is_current_when_a_response_stream_is_dropped() {
    a_span_made_there_when_it_is_dropped_is_a_child("later hold", &STREAMING).await;
}

#[tokio::test]
async fn context_is_current_in_an_interceptor() {
    let telemetry = Telemetry::start();
    let seen = Shared::<Option<Context>>::default();
    let intercept = {
        let seen = seen.clone();
        move |request: Request<()>| {
            *seen.lock().unwrap() = Some(Context::current());
            global::tracer("app").start("intercepted").end();
            Ok(request)
        }
    };
    let layer = ServerLayer::new().known_methods(RPCS);
    let server = Server::builder().layer(layer).layer(InterceptorLayer::new(intercept));
    let server = serve_with(server, Plain::routes(&ScriptedService::default())).await;
    call_to_end(server.channel().await, "kinds.Unary/Call", in_a_trace("")).await;

    let spans = telemetry.spans(2).await;
    let [intercepted, rpc] = &spans[..] else { unreachable!() };
    assert_eq!((&*intercepted.name, &*rpc.name), ("intercepted", "kinds.Unary/Call"));
    assert_is_child_of(rpc, intercepted);
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(*seen.span().span_context(), rpc.span_context);
    assert_eq!(
        seen.baggage().get("user").map(ToString::to_string).as_deref(),
        Some("ada")
    );
}

#[tokio::test]
async fn context_is_not_current_outside_the_layer() {
    let _telemetry = Telemetry::start();
    let server = Coverage::Both.serve(&ScriptedService::default()).await;
    // The test's runtime has one thread, so the server's tasks run on this one.
    call_to_end(server.channel().await, "kinds.Bidi/Call", in_a_trace("later span")).await;
    assert!(!Context::current().has_active_span());
}
