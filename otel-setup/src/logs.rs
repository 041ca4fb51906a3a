//! The logger provider: exporters.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;

#[cfg(any(feature = "console", feature = "otlp"))]
use crate::batch::{BatchProcessors, LogItem};
use crate::builder::{Builder, has_zpages};
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
#[cfg(feature = "console")]
use crate::subscriber::StdoutLogs;

/// Builds the logger provider, or `None` without any exporter.
#[cfg_attr(
    not(any(feature = "console", feature = "otlp")),
    allow(clippy::unnecessary_wraps, reason = "only exporters can fail")
)]
pub(crate) fn provider(
    exporters: &[(Exporter, &Env)],
    builder: &mut Builder,
    resource: &Resource,
) -> Result<Option<SdkLoggerProvider>, InitError> {
    let configure = builder.configure_logger_provider.take();
    if exporters.is_empty() && configure.is_none() && !has_zpages(builder) {
        return Ok(None);
    }
    #[cfg(feature = "console")]
    if exporters.iter().any(|(exporter, _)| *exporter == Exporter::Console) {
        // Otherwise stdout would show every event twice.
        builder.stdout_logs.get_or_insert(StdoutLogs::Off);
    }
    #[cfg(any(feature = "console", feature = "otlp"))]
    crate::unique_keys::prepare();
    let mut provider = SdkLoggerProvider::builder().with_resource(resource.clone());
    #[cfg(any(feature = "console", feature = "otlp"))]
    if let Some(processors) = processors(exporters, builder)? {
        provider = provider.with_log_processor(processors);
    }
    #[cfg(feature = "zpages")]
    {
        provider = builder.zpages.add_logs(provider);
    }
    if let Some(configure) = configure {
        provider = configure(provider);
    }
    Ok(Some(provider.build()))
}

#[cfg(any(feature = "console", feature = "otlp"))]
fn processors(
    exporters: &[(Exporter, &Env)],
    builder: &mut Builder,
) -> Result<Option<BatchProcessors<LogItem>>, InitError> {
    BatchProcessors::for_exporters(exporters, |exporter, env| match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => builder.console.logs(env).map(Some),
        #[cfg(feature = "otlp")]
        Exporter::Otlp => builder.otlp.logs(env).map(Some),
        // Rejected by `Exporter::resolve`.
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => Ok(None),
    })
}
