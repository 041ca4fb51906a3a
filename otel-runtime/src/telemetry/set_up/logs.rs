//! The logger provider.

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{
    BatchConfig, BatchConfigBuilder, BatchLogProcessor, LogExporter, LoggerProviderBuilder, SdkLoggerProvider,
};

use super::super::console::ConsoleLogExporter;
use super::batches::Batches;
use super::environment::Environment;
use super::exporter::Exporter;
use super::{Builder, InitError};

/// `None` where log records go nowhere.
// The console alone always works.
#[cfg_attr(not(feature = "otlp"), allow(clippy::unnecessary_wraps))]
pub(super) fn provider(
    exporters: &[Exporter],
    builder: &mut Builder,
    environment: &Environment,
    resource: &Resource,
) -> Result<Option<SdkLoggerProvider>, InitError> {
    let configure = builder.logger_provider.take();
    if exporters.is_empty() && configure.is_none() {
        return Ok(None);
    }
    let mut provider = SdkLoggerProvider::builder().with_resource(resource.clone());
    for exporter in exporters {
        provider = match exporter {
            Exporter::Console if builder.console_json => batched(provider, ConsoleLogExporter::json(), environment),
            Exporter::Console => batched(provider, ConsoleLogExporter::human(), environment),
            #[cfg(feature = "otlp")]
            Exporter::Otlp => builder.otlp.logs(provider, batches(environment), environment)?,
            // `Exporter::of` has refused it.
            #[cfg(feature = "prometheus")]
            Exporter::Prometheus => provider,
        };
    }
    if let Some(configure) = configure {
        provider = configure(provider);
    }
    Ok(Some(provider.build()))
}

fn batched(
    provider: LoggerProviderBuilder,
    exporter: impl LogExporter + 'static,
    environment: &Environment,
) -> LoggerProviderBuilder {
    let processor = BatchLogProcessor::builder(exporter)
        .with_batch_config(batches(environment))
        .build();
    provider.with_log_processor(processor)
}

fn batches(environment: &Environment) -> BatchConfig {
    let Batches { delay, queue, size } = Batches::of_log_records(environment);
    BatchConfigBuilder::default()
        .with_scheduled_delay(delay)
        .with_max_queue_size(queue)
        .with_max_export_batch_size(size)
        .build()
}
