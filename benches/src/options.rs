//! Variants of layers with an option that is off by default.
//!
//! The difference to the row of the layer alone is the cost of an option.

use otel_runtime::{ClientLayer, LoggedCalls, RpcRequest, ServerLayer};
use tower::Layer;

use crate::proto::bench_server::BenchServer;
use crate::rpc::{Answers, Rpc, Shape, of_client, to_server_without_addresses};
use crate::sdk::Mode;
use crate::service::Traced;
use crate::variant::{BARE_CLIENT, BARE_WITHOUT_ADDRESSES, Variant};

macro_rules! server {
    ($option:literal, $set:expr) => {
        Variant::ours(
            concat!("attribute + ServerLayer, no addresses, ", $option),
            BARE_WITHOUT_ADDRESSES,
            |mode, shape| to_server(&$set(ServerLayer::new()), mode, shape),
        )
    };
}

macro_rules! client {
    ($option:literal, $set:expr) => {
        Variant::ours(concat!("ClientLayer, ", $option), BARE_CLIENT, |mode, shape| {
            let layer: ClientLayer = $set(ClientLayer::new("bench.example:50051"));
            of_client(layer.layer(Answers::new()), mode, shape)
        })
    };
}

pub(crate) fn all() -> [Variant; 11] {
    [
        server!("failures", |layer: ServerLayer| layer.failures(|_, _| None)),
        server!("log_calls", |layer: ServerLayer| layer.log_calls(LoggedCalls::All)),
        server!("message_counts", ServerLayer::message_counts),
        server!("metric_attributes", |layer: ServerLayer| layer
            .metric_attributes(["path"], path)),
        server!("tracing_span", ServerLayer::tracing_span),
        server!("a pattern of headers", |layer: ServerLayer| layer
            .request_headers(["x-tenant-*"])),
        client!("failures", |layer: ClientLayer| layer.failures(|_, _| None)),
        client!("log_calls", |layer: ClientLayer| layer.log_calls(LoggedCalls::All)),
        client!("message_counts", ClientLayer::message_counts),
        client!("message_sizes", ClientLayer::message_sizes),
        client!("metric_attributes", |layer: ClientLayer| layer
            .metric_attributes(["path"], path)),
    ]
}

fn to_server(layer: &ServerLayer, mode: Mode, shape: Shape) -> Rpc {
    to_server_without_addresses(layer.layer(BenchServer::new(Traced)), mode, shape)
}

/// Returns a value that costs next to nothing. A header costs some 240 instructions.
fn path<'a>(request: &RpcRequest<'a>) -> [Option<&'a str>; 1] {
    [Some(request.path())]
}
