//! What the example programs share.

/// The service that every gRPC tutorial starts with; the README's too.
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
