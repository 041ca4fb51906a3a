//! Shared by the example programs: the services, and the display of their telemetry.
//!
//! * [`fleet`] computes the size of a fleet's metrics.
//! * [`services`] has the handlers, with `#[traced_service]`.
//! * [`servers`] runs the services on loopback sockets, with a `ServerLayer` around them.
//! * [`stop`] waits for Ctrl-C or SIGTERM.
//! * [`telemetry`] installs OpenTelemetry's SDK, with exporters to memory, and the zPages.

pub mod fleet;
pub mod servers;
pub mod services;
pub mod stop;
pub mod telemetry;

/// The service that every gRPC tutorial starts with, and the README.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod helloworld {
    tonic::include_proto!("helloworld");
}

/// The service of gRPC's own tutorials, which `route_guide` calls.
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

/// The quick start in the README, which has to compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
