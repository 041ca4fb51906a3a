//! The exporters of `opentelemetry-otlp`. All options are set explicitly, since defaults come from
//! the environment by different rules.

use std::time::Duration;

use http::HeaderMap;
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use super::http_client::{Client, LastError, replace_headers};
use super::protocol::Protocol;
use super::settings::Settings;

pub(super) fn spans(settings: &Settings, last_error: &LastError) -> Result<SpanExporter, ExporterBuildError> {
    let builder = SpanExporter::builder();
    match settings.protocol {
        Protocol::Grpc => over_grpc(builder.with_tonic(), settings).build(),
        Protocol::HttpProtobuf => over_http(builder.with_http(), settings, last_error).build(),
    }
}

pub(super) fn metrics(
    settings: &Settings,
    temporality: Temporality,
    last_error: &LastError,
) -> Result<MetricExporter, ExporterBuildError> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    match settings.protocol {
        Protocol::Grpc => over_grpc(builder.with_tonic(), settings).build(),
        Protocol::HttpProtobuf => over_http(builder.with_http(), settings, last_error).build(),
    }
}

pub(super) fn logs(settings: &Settings, last_error: &LastError) -> Result<LogExporter, ExporterBuildError> {
    let builder = LogExporter::builder();
    match settings.protocol {
        Protocol::Grpc => over_grpc(builder.with_tonic(), settings).build(),
        Protocol::HttpProtobuf => over_http(builder.with_http(), settings, last_error).build(),
    }
}

fn over_grpc<B: WithExportConfig + WithTonicConfig>(builder: B, settings: &Settings) -> B {
    let mut builder = builder
        .with_protocol(opentelemetry_otlp::Protocol::Grpc)
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(with_grace(settings.timeout))
        .with_interceptor(replace_metadata(settings.headers.clone()));
    if settings.is_compressed {
        builder = builder.with_compression(Compression::Gzip);
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = &settings.tls {
        builder = builder.with_tls_config(tls.for_grpc());
    }
    builder
}

fn over_http<B: WithExportConfig + WithHttpConfig>(builder: B, settings: &Settings, last_error: &LastError) -> B {
    let headers = settings.headers.clone();
    let client = Client::new(
        headers,
        settings.is_compressed,
        with_grace(settings.timeout),
        settings.tls.as_ref(),
        last_error.clone(),
    );
    let mut builder = builder
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(with_grace(settings.timeout))
        .with_http_client(client);
    if settings.is_compressed {
        builder = builder.with_compression(Compression::Gzip);
    }
    builder
}

/// Extends the timeout, so that the [monitor](super::monitored_exporter) enforces its own first:
/// for all retries together, and with a clear message.
fn with_grace(timeout: Duration) -> Duration {
    timeout + Duration::from_secs(1)
}

/// Returns an interceptor that replaces the metadata of the exporter.
#[allow(clippy::result_large_err, reason = "the signature of tonic's interceptors")]
fn replace_metadata(headers: HeaderMap) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone {
    move |request| {
        let (metadata, extensions, ()) = request.into_parts();
        let mut metadata = metadata.into_headers();
        replace_headers(&mut metadata, &headers);
        Ok(Request::from_parts(MetadataMap::from_headers(metadata), extensions, ()))
    }
}
