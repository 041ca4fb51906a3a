//! How messages travel.

/// How [OTLP](https://opentelemetry.io/docs/specs/otlp/) travels: what `OTEL_EXPORTER_OTLP_PROTOCOL` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `grpc`, the default: to port 4317, where nobody says otherwise.
    Grpc,
    /// `http/protobuf`: to port 4318, where nobody says otherwise.
    HttpProtobuf,
}

impl Protocol {
    pub(super) const KNOWN: [(&'static str, Protocol); 2] =
        [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

    /// Where a collector on this host listens.
    pub(super) fn default_endpoint(self) -> &'static str {
        match self {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        }
    }
}
