//! The limits on `tracestate` and baggage, with other propagators than the SDK's.

use std::sync::Arc;

use integration_tests::client::{self, Kind};
use integration_tests::rpc::call_to_end;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{serve, serve_with};
use integration_tests::telemetry::{Shared, Telemetry};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use otel_runtime::propagation::{JaegerPropagator, XRayPropagator};
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer};
use tonic::Request;
use tonic::metadata::{KeyRef, MetadataMap};
use tonic::transport::Server;
use tower::Layer;

use crate::caller::{PARENT, RPC, TRACE, hostile};

/// A custom propagator that extracts lists unlimited, and injects one with very many members.
#[derive(Debug, Default)]
struct Wordy(Shared<Vec<String>>);

const LISTS: [(&str, usize, usize); 2] = [("tracestate", 32, 4096), ("baggage", 64, 8192)];

/// Returns a list of short members, and one of long members.
fn members() -> [Vec<String>; 2] {
    let member = |number, length| format!("{number:03}={}", "x".repeat(length));
    let of_length = |length, count: u32| (0..count).map(|number| member(number, length)).collect();
    [of_length(1, 500), of_length(400, 24)]
}

/// Asserts that the first members within the limits were kept, each complete.
fn assert_kept(kept: &str, all: &[String], (name, members, bytes): (&str, usize, usize)) {
    let count = kept.split(',').count();
    assert_eq!(kept, all[..count].join(","), "{name}");
    assert!(count <= members && kept.len() <= bytes, "{name}: {count} members");
    assert!(
        count == members || kept.len() + 1 + all[count].len() > bytes,
        "{name}: {kept}"
    );
}

impl TextMapPropagator for Wordy {
    fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
        let [many, long] = members();
        for (name, members) in [("tracestate", &many), ("baggage", &long)] {
            injector.set(name, members.join(","));
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let found = LISTS.iter().filter_map(|(name, ..)| extractor.get(name));
        self.0.lock().unwrap().extend(found.map(str::to_owned));
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

/// The limits apply to all propagators, not only to the SDK's.
#[tokio::test]
async fn limits_apply_to_custom_propagators() {
    let _turn = Telemetry::start();
    let service = ScriptedService::default();
    let read = Shared::default();
    let wordy = Instrumentation::builder().propagator(Wordy(Arc::clone(&read))).build();
    let layer = ServerLayer::new().instrumentation(wordy.clone());
    let server = serve_with(Server::builder().layer(layer), service.routes()).await;
    for list in LISTS {
        for members in members() {
            let lies = hostile(&[(list.0, &members.join(","))]);
            call_to_end(server.channel().await, RPC, lies).await;
            let [kept] = &std::mem::take(&mut *read.lock().unwrap())[..] else {
                panic!("one {}", list.0)
            };
            assert_kept(kept, &members, list);
        }
    }

    let behind = ScriptedService::default();
    let server = serve(behind.routes()).await;
    let layer = ClientLayer::new("here").instrumentation(wordy);
    let channel = layer.layer(server.channel().await);
    client::call(channel, Kind::Unary, Request::new("")).await.unwrap();
    let forwarded = behind.only_metadata();
    for (list, members) in LISTS.into_iter().zip(members()) {
        assert_kept(forwarded.get(list.0).unwrap().to_str().unwrap(), &members, list);
    }
}

/// Returns the headers injected with a propagator, if baggage and tracestate exceed the limits.
async fn written_by(propagator: impl TextMapPropagator + Send + Sync + 'static) -> MetadataMap {
    let behind = ScriptedService::default();
    let server = serve(behind.routes()).await;
    let instrumentation = Instrumentation::builder().propagator(propagator);
    let layer = ClientLayer::new("here").instrumentation(instrumentation.build());
    let channel = layer.layer(server.channel().await);
    let state = (0..24).map(|number| (format!("key{number}"), "x".repeat(250)));
    let parent = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(PARENT).unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value(state).unwrap(),
    );
    let baggage = (0..8).map(|number| KeyValue::new(format!("key{number}"), "\"".repeat(1000)));
    let context = Context::new().with_remote_span_context(parent).with_baggage(baggage);
    let call = client::call(channel, Kind::Unary, Request::new(""));
    call.with_context(context).await.unwrap();
    behind.only_metadata()
}

#[tokio::test]
async fn limits_apply_to_jaeger_and_xray() {
    let _turn = Telemetry::start();
    let written = written_by(JaegerPropagator::default()).await;
    assert!(
        written
            .get("uber-trace-id")
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(TRACE)
    );
    let baggage = written
        .keys()
        .filter(|key| matches!(key, KeyRef::Ascii(key) if key.as_str().starts_with("uberctx-")));
    assert_eq!(baggage.count(), 2, "as many as 8,192 bytes hold");

    let written = written_by(XRayPropagator::default()).await;
    let header = written.get("x-amzn-trace-id").unwrap().to_str().unwrap();
    assert!(header.starts_with("Root=1-") && header.len() < 100, "{header}");
}
