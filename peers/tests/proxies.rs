//! Proxies between our client and our server: `peers/proxies.tsv` and `docs/proxies.md`.

use peers::proxies::{self, check_page, run};

const DIRECTORY: &str = env!("CARGO_TARGET_TMPDIR");

macro_rules! proxies {
    ($($name:ident $proxy:ident;)*) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            run(&proxies::$proxy, DIRECTORY).await;
        }
    )* };
}

proxies! {
    caddy CADDY;
    direct DIRECT;
    envoy ENVOY;
    grpc_go GO;
    haproxy HAPROXY;
    nginx NGINX;
}

/// Named so that it is the last to run, after the table has been updated.
#[test]
fn the_page_has_what_the_table_has() {
    check_page();
}
