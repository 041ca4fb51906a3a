//! All variants that are measured.

use otel_runtime::{ClientLayer, ServerLayer, exemplars};
use tonic::service::Routes;
use tower::Layer;

use crate::by_hand::ByHand;
use crate::floor::{Floor, FloorClient, FloorServer, Guarded};
use crate::options;
use crate::proto::bench_server::BenchServer;
use crate::rpc::{Answers, Rpc, Shape, of_client, to_server, to_server_streamed, to_server_without_addresses};
use crate::sdk::Mode;
use crate::service::{Bare, Traced};
use crate::variant::{BARE, BARE_CLIENT, BARE_STREAMED, BARE_WITHOUT_ADDRESSES, Variant, Whose};

/// The least that an SDK costs, and no instrumentation.
const fn floor(name: &'static str, base: &'static str, make: fn(Mode, Shape) -> Rpc) -> Variant {
    Variant {
        name,
        base,
        whose: Whose::Others,
        can_be_bound: true,
        lacks: "no instrumentation but what its least would cost: the caller is not read, and a handler that waits, fails, panics or is dropped is none",
        make,
    }
}

pub(crate) fn all() -> Vec<Variant> {
    let bare = |name, make| Variant {
        name,
        base: name,
        whose: Whose::Nobodys,
        can_be_bound: true,
        lacks: "",
        make,
    };
    let mut all = vec![
        bare(BARE, |mode, shape| {
            to_server(Routes::new(BenchServer::new(Bare)), mode, shape)
        }),
        Variant::ours("attribute", BARE, |mode, shape| {
            to_server(Routes::new(BenchServer::new(Traced)), mode, shape)
        }),
        Variant::ours("attribute, exemplars", BARE, |mode, shape| {
            exemplars::set_filter(exemplars::ExemplarFilter::TraceBased);
            to_server(Routes::new(BenchServer::new(Traced)), mode, shape)
        }),
        Variant::ours("attribute + ServerLayer", BARE, |mode, shape| {
            to_server(
                ServerLayer::new().layer(Routes::new(BenchServer::new(Traced))),
                mode,
                shape,
            )
        }),
        Variant::ours("ServerLayer", BARE, |mode, shape| {
            to_server(
                ServerLayer::new().layer(Routes::new(BenchServer::new(Bare))),
                mode,
                shape,
            )
        }),
        bare(BARE_STREAMED, |mode, shape| {
            to_server_streamed(Routes::new(BenchServer::new(Bare)), mode, shape)
        }),
        Variant::ours("attribute + ServerLayer, streamed", BARE_STREAMED, |mode, shape| {
            to_server_streamed(
                ServerLayer::new().layer(Routes::new(BenchServer::new(Traced))),
                mode,
                shape,
            )
        }),
        Variant {
            name: "by hand",
            base: BARE,
            whose: Whose::Others,
            can_be_bound: true,
            lacks: "no server.address, no network.peer.*; a stream only up to its start; nothing of a handler that is dropped or panics",
            make: |mode, shape| to_server(Routes::new(BenchServer::new(ByHand)), mode, shape),
        },
    ];
    #[cfg(feature = "competitors")]
    all.extend(crate::competitors::all());
    // tonic's generated service without its router, and without the addresses that a server knows.
    // The telemetry then has two strings and two numbers less.
    all.extend([
        bare(BARE_WITHOUT_ADDRESSES, |mode, shape| {
            to_server_without_addresses(BenchServer::new(Bare), mode, shape)
        }),
        Variant::ours("attribute, no addresses", BARE_WITHOUT_ADDRESSES, |mode, shape| {
            to_server_without_addresses(BenchServer::new(Traced), mode, shape)
        }),
        floor("floor, no addresses", BARE_WITHOUT_ADDRESSES, |mode, shape| {
            to_server_without_addresses(BenchServer::new(Floor(mode)), mode, shape)
        }),
        floor("floor, guarded, no addresses", BARE_WITHOUT_ADDRESSES, |mode, shape| {
            to_server_without_addresses(BenchServer::new(Guarded(mode)), mode, shape)
        }),
        floor(
            "floor of a layer, no addresses",
            BARE_WITHOUT_ADDRESSES,
            |mode, shape| to_server_without_addresses(FloorServer::new(BenchServer::new(Bare), mode), mode, shape),
        ),
        Variant::ours(
            "attribute + ServerLayer, no addresses",
            BARE_WITHOUT_ADDRESSES,
            |mode, shape| to_server_without_addresses(ServerLayer::new().layer(BenchServer::new(Traced)), mode, shape),
        ),
        bare(BARE_CLIENT, |mode, shape| of_client(Answers::new(), mode, shape)),
        Variant::ours("ClientLayer", BARE_CLIENT, |mode, shape| {
            of_client(
                ClientLayer::new("bench.example:50051").layer(Answers::new()),
                mode,
                shape,
            )
        }),
        floor("floor of a client", BARE_CLIENT, |mode, shape| {
            of_client(FloorClient::new(Answers::new(), mode), mode, shape)
        }),
    ]);
    all.extend(options::all());
    #[cfg(feature = "competitors")]
    all.extend(crate::competitors::clients());
    all
}
