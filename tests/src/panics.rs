//! Intended panics in user-provided functions and SDK parts, and assertions that RPCs still work.

use std::sync::Once;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingResult, ShouldSample};
use otel_runtime::ServerLayer;
use tonic::transport::Server;
use tonic::{Code, Request};

use crate::coverage::RPCS;
use crate::rpc::{call_to_end, request};
use crate::scripted::{Annotated, Plain, ScriptedService};
use crate::server::{RunningServer, serve_with};
use crate::telemetry::Telemetry;

const ON_PURPOSE: &str = "on purpose";

/// The trace ID of the caller.
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The number of RPCs that [`assert_all_reply`] makes.
pub const CALLS: u64 = 8;

/// Panics, in place of an expression of any type.
// `must_use` is pointless on a function that never returns.
#[allow(clippy::must_use_candidate)]
pub fn panics<T>() -> T {
    panic!("{ON_PURPOSE}")
}

/// A sampler that panics.
#[derive(Clone, Debug)]
pub struct PanickingSampler;

impl ShouldSample for PanickingSampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        panics()
    }
}

/// Silences the output of intended panics, which would hide unintended ones.
pub fn quiet() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.to_string();
            let intended = [ON_PURPOSE, "as asked", "index out of bounds"];
            if !intended.iter().any(|intended| message.contains(intended)) {
                eprintln!("{message}");
            }
        }));
    });
}

/// Starts telemetry, and silences intended panics.
#[must_use]
pub fn start() -> Telemetry {
    quiet();
    Telemetry::start()
}

/// Adds the `traceparent` of a caller's span to a request.
#[must_use]
pub fn traced<T>(mut request: Request<T>) -> Request<T> {
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    request
}

/// Serves a service of each kind behind `layer`, with or without `#[traced_service]`.
pub async fn with_layer(layer: ServerLayer, is_annotated: bool) -> RunningServer {
    let (server, handler) = (
        Server::builder().layer(layer.known_methods(RPCS)),
        ScriptedService::default(),
    );
    let routes = if is_annotated {
        Annotated::routes(&handler)
    } else {
        Plain::routes(&handler)
    };
    serve_with(server, routes).await
}

/// Asserts that RPCs of all kinds have the replies of a service without telemetry.
pub async fn assert_all_reply(server: &RunningServer) {
    let channel = server.channel().await;
    for rpc in RPCS {
        for (text, messages, code) in [("", 1, Code::Ok), ("5", 0, Code::NotFound)] {
            let (found, status) = call_to_end(channel.clone(), rpc, traced(request(text))).await;
            assert_eq!((found, status.code()), (messages, code), "{rpc} {text}: {status}");
        }
    }
}

/// Asserts that `calls` RPCs were measured, none is active, and this thread has no current span.
pub async fn assert_all_counted(telemetry: &Telemetry, calls: u64) {
    telemetry.durations(calls).await;
    Context::map_current(|current| assert!(!current.has_active_span(), "{current:?}"));
}
