//! Panics on purpose, in what telemetry asks of others; and what holds all the same.

use std::sync::Once;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use otel_runtime::ServerLayer;
use tonic::transport::Server;
use tonic::{Code, Request};

use crate::coverage::{Annotated, Plain, RPCS, ScriptedHandler};
use crate::rpc::{call_to_end, request};
use crate::server::{RunningServer, serve_with};
use crate::telemetry::Telemetry;

const ON_PURPOSE: &str = "on purpose";

/// The caller's trace.
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// How many RPCs [`assert_all_reply`] makes.
pub const CALLS: u64 = 8;

/// Panics, whatever is expected of it.
// There is nothing to use of `()`.
#[allow(clippy::must_use_candidate)]
pub fn panics<T>() -> T {
    panic!("{ON_PURPOSE}")
}

/// Telemetry, without the backtraces of panics that are meant to be: they would hide one that is
/// not.
#[must_use]
pub fn start() -> Telemetry {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.to_string();
            if ![ON_PURPOSE, "as asked", "index out of bounds"]
                .iter()
                .any(|meant| message.contains(meant))
            {
                eprintln!("{panic}");
            }
        }));
    });
    Telemetry::start()
}

/// A request as a caller with a trace makes it.
#[must_use]
pub fn traced<T>(mut request: Request<T>) -> Request<T> {
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    request
}

/// A server with a service of each kind, annotated or not, behind `layer`.
pub async fn with_layer(layer: ServerLayer, is_annotated: bool) -> RunningServer {
    let (server, handler) = (
        Server::builder().layer(layer.known_methods(RPCS)),
        ScriptedHandler::default(),
    );
    let routes = if is_annotated {
        Annotated::routes(&handler)
    } else {
        Plain::routes(&handler)
    };
    serve_with(server, routes).await
}

/// Each kind of RPC has the replies of a service that nobody records.
pub async fn assert_all_reply(server: &RunningServer) {
    let channel = server.channel().await;
    for rpc in RPCS {
        for (text, messages, code) in [("", 1, Code::Ok), ("5", 0, Code::NotFound)] {
            let (found, status) = call_to_end(channel.clone(), rpc, traced(request(text))).await;
            assert_eq!((found, status.code()), (messages, code), "{rpc} {text}: {status}");
        }
    }
}

/// So many RPCs have been measured, and nothing is active any more, on the thread neither.
pub async fn assert_all_counted(telemetry: &Telemetry, calls: u64) {
    telemetry.durations(calls).await;
    Context::map_current(|current| assert!(!current.has_active_span(), "{current:?}"));
}
