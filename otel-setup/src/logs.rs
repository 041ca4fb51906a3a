//! The logger provider: exporters.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LoggerProviderBuilder, SdkLoggerProvider};

use crate::builder::{Builder, has_zpages};
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;

/// Builds the logger provider, or `None` without any exporter.
pub(crate) fn provider(
    exporters: &[Exporter],
    builder: &mut Builder,
    env: &Env,
    resource: &Resource,
) -> Result<Option<SdkLoggerProvider>, InitError> {
    let configure = builder.configure_logger_provider.take();
    if exporters.is_empty() && configure.is_none() && !has_zpages(builder) {
        return Ok(None);
    }
    let mut provider = SdkLoggerProvider::builder().with_resource(resource.clone());
    for exporter in exporters {
        provider = add_exporter(*exporter, provider, builder, env)?;
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

#[allow(
    unused_variables,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "the Cargo features decide which exporters there are"
)]
fn add_exporter(
    exporter: Exporter,
    provider: LoggerProviderBuilder,
    builder: &mut Builder,
    env: &Env,
) -> Result<LoggerProviderBuilder, InitError> {
    match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => Ok(builder.console.logs(provider, env)),
        #[cfg(feature = "otlp")]
        Exporter::Otlp => builder.otlp.logs(provider, env),
        // Rejected by `Exporter::resolve`.
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => Ok(provider),
    }
}
