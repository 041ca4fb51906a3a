//! Shared by the tests: services to implement, a server on a socket, and in-memory telemetry.

// Helpers of tests panic to fail the test.
#![allow(clippy::missing_panics_doc)]

mod background;
pub mod bridge;
pub mod child;
pub mod client;
pub mod clock;
pub mod collector;
pub mod conventions;
pub mod counted;
pub mod coverage;
pub mod driven_panics;
pub mod faults;
pub mod free_address;
pub mod http;
pub mod http_proxy;
pub mod logging_service;
pub mod metric_names;
pub mod own_process;
pub mod panics;
pub mod proxy;
pub mod rpc;
pub mod scripted;
pub mod server;
pub mod telemetry;

/// A service for each kind of RPC.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod kinds {
    tonic::include_proto!("kinds");

    impl From<&str> for Message {
        fn from(text: &str) -> Self {
            Message { text: text.to_owned() }
        }
    }
}

/// [`kinds`] as generated with `generate_default_stubs(true)`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod kinds_default_stubs {
    include!(concat!(env!("OUT_DIR"), "/default_stubs/kinds.rs"));
}

/// [`kinds`] as generated with `use_arc_self(true)`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod kinds_arc_self {
    include!(concat!(env!("OUT_DIR"), "/arc_self/kinds.rs"));
}

/// Services whose names in Rust differ from their names on the wire.
#[allow(missing_docs, unreachable_pub, nonstandard_style, clippy::all, clippy::pedantic)]
pub mod names {
    tonic::include_proto!("names.v1");
}

/// A service without a package.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod no_package {
    tonic::include_proto!("_");
}
