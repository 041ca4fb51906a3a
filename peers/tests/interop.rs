//! The matrix of gRPC implementations: `peers/interop.tsv` and `docs/interop.md`.

use peers::interop::peer::{self, Peer};
use peers::interop::{Direction, run};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");

macro_rules! peers {
    ($($name:ident: $peer:ident,)*) => { $(
        mod $name {
            use super::*;

            const PEER: Peer = peer::$peer;

            #[tokio::test(flavor = "multi_thread")]
            async fn calls_our_server() {
                run(&PEER, Direction::Client, DIRECTORY).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn is_called_by_our_client() {
                run(&PEER, Direction::Server, DIRECTORY).await;
            }
        }
    )* };
}

peers! {
    grpc_go_with_otelgrpc: GO_OTELGRPC,
    grpc_go_with_its_plugin: GO_PLUGIN,
    connect_go: CONNECT_GO,
}
