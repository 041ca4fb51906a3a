//! The logger provider: exporters.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LoggerProviderBuilder, SdkLoggerProvider};

use crate::builder::{Builder, has_zpages};
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
#[cfg(feature = "console")]
use crate::subscriber::StdoutLogs;

/// Builds the logger provider, or `None` without any exporter.
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
    for (exporter, env) in exporters {
        provider = add_exporter(*exporter, provider, builder, env, resource).map_err(|error| error.in_places(env))?;
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
    resource: &Resource,
) -> Result<LoggerProviderBuilder, InitError> {
    match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => Ok(builder.console.logs(provider, env, resource)),
        #[cfg(feature = "otlp")]
        Exporter::Otlp => builder.otlp.logs(provider, env, resource),
        // Rejected by `Exporter::resolve`.
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => Ok(provider),
    }
}
