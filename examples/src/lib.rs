//! Services, servers and telemetry shared by the example programs.
//!
//! * [`services`]: handlers with `#[traced_service]`, as a user of `otel-runtime` writes them.
//! * [`servers`]: runs the services on loopback sockets, with a `ServerLayer` around them.
//! * [`stop`]: waits for Ctrl-C or SIGTERM.
//! * [`telemetry`]: installs the OpenTelemetry SDK with in-memory exporters.

pub mod servers;
pub mod services;
pub mod stop;
pub mod telemetry;

/// The greeter that every gRPC tutorial starts with, including our README.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod helloworld {
    tonic::include_proto!("helloworld");
}

/// The service that the quickstart's client calls.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod routeguide {
    tonic::include_proto!("routeguide");
}

/// The service that [`routeguide`] calls in turn.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod geocoder {
    tonic::include_proto!("geocoder");
}

/// A shop, and the payment service that it calls.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod shop {
    tonic::include_proto!("shop");
}
