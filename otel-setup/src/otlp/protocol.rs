//! How messages travel.

/// How [OTLP](https://opentelemetry.io/docs/specs/otlp/) travels: what `OTEL_EXPORTER_OTLP_PROTOCOL` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// `grpc`, the default: to `http://localhost:4317`, where nobody says otherwise.
    ///
    /// The [specification](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specify-protocol) has it that the default SHOULD be `http/protobuf`, unless there are good reasons for `grpc`: here the service
    /// speaks gRPC anyway, so it is one protocol and one port less.
    Grpc,
    /// `http/protobuf`: to `http://localhost:4318`, where nobody says otherwise.
    HttpProtobuf,
}

impl Protocol {
    pub(crate) const KNOWN: [(&'static str, Protocol); 2] =
        [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

    /// Where a collector on this host listens.
    pub(crate) fn default_endpoint(self) -> &'static str {
        match self {
            Protocol::Grpc => "http://localhost:4317",
            Protocol::HttpProtobuf => "http://localhost:4318",
        }
    }
}
