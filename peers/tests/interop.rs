//! The matrix of gRPC implementations: `peers/interop.tsv` and `docs/interop.md`.

use peers::interop::peer;
use peers::interop::{Direction, check_page, run};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");

macro_rules! peers {
    ($($peer:ident: $($name:ident $direction:ident),+;)*) => { $( $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            run(&peer::$peer, Direction::$direction, DIRECTORY).await;
        }
    )+ )* };
}

peers! {
    GO_OTELGRPC: grpc_go_with_otelgrpc_calls Client, grpc_go_with_otelgrpc_is_called Server;
    GO_PLUGIN: grpc_go_with_its_plugin_calls Client, grpc_go_with_its_plugin_is_called Server;
    CONNECT_GO: connect_go_calls Client, connect_go_is_called Server;
    JAVA_AGENT: grpc_java_with_the_agent_calls Client, grpc_java_with_the_agent_is_called Server;
    JAVA_PLUGIN: grpc_java_with_its_plugin_calls Client, grpc_java_with_its_plugin_is_called Server;
    ARMERIA: armeria_calls Client, armeria_is_called Server;
    GRPCIO: grpcio_calls Client, grpcio_is_called Server;
    GRPCLIB: grpclib_calls Client;
    GRPC_JS: grpc_js_calls Client, grpc_js_is_called Server;
    CONNECT_NODE: connect_node_calls Client, connect_node_is_called Server;
}

/// Named so that it is the last to run, after the table has been updated.
#[test]
fn the_page_has_what_the_table_has() {
    check_page();
}
