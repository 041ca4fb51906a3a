//! The transport protocols.

/// A transport protocol of [OTLP](https://opentelemetry.io/docs/specs/otlp/), as
/// `OTEL_EXPORTER_OTLP_PROTOCOL` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `grpc`, the default. The default endpoint is `http://localhost:4317`.
    ///
    /// The
    /// [specification](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specify-protocol)
    /// recommends `http/protobuf` as the default unless there are strong reasons. Here, the service
    /// has a gRPC client already.
    Grpc,
    /// `http/protobuf`. The default endpoint is `http://localhost:4318`. Requires the Cargo feature
    /// `http`.
    HttpProtobuf,
}

impl Protocol {
    pub(crate) const KNOWN: [(&'static str, Protocol); 2] =
        [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

    /// Returns the endpoint of a collector on this host.
    pub(crate) fn default_endpoint(self) -> &'static str {
        match self {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        }
    }
}
