//! The meter provider.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader, SdkMeterProvider};

use super::super::console::ConsoleMetricExporter;
use super::environment::Environment;
use super::exporter::Exporter;
use super::{Builder, InitError};

/// How often metrics are exported where nobody says.
const INTERVAL: Duration = Duration::from_secs(60);

/// `None` where metrics go nowhere.
// The console alone always works.
#[cfg_attr(not(feature = "otlp"), allow(clippy::unnecessary_wraps))]
pub(super) fn provider(
    exporters: &[Exporter],
    builder: &mut Builder,
    environment: &Environment,
    resource: &Resource,
) -> Result<Option<SdkMeterProvider>, InitError> {
    let configure = builder.meter_provider.take();
    if exporters.is_empty() && configure.is_none() {
        return Ok(None);
    }
    let interval = interval(builder, environment);
    let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
    for exporter in exporters {
        provider = match exporter {
            Exporter::Console if builder.console_json => periodic(provider, ConsoleMetricExporter::json(), interval),
            Exporter::Console => periodic(provider, ConsoleMetricExporter::human(), interval),
        };
    }
    if let Some(configure) = configure {
        provider = configure(provider);
    }
    Ok(Some(provider.build()))
}

fn periodic(
    provider: MeterProviderBuilder,
    exporter: impl PushMetricExporter,
    interval: Duration,
) -> MeterProviderBuilder {
    provider.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build())
}

fn interval(builder: &Builder, environment: &Environment) -> Duration {
    if let Some(interval) = builder.metric_interval {
        return interval;
    }
    let variable = "OTEL_METRIC_EXPORT_INTERVAL";
    match environment.milliseconds(variable, INTERVAL) {
        Some(Duration::ZERO) => {
            environment.warn(variable, "0", "is no interval; used instead: 60000");
            INTERVAL
        }
        Some(interval) => interval,
        None => INTERVAL,
    }
}
