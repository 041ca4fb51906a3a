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
#[cfg_attr(not(any(feature = "otlp", feature = "prometheus")), allow(clippy::unnecessary_wraps))]
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
            #[cfg(feature = "otlp")]
            Exporter::Otlp => builder.otlp.metrics(provider, interval, environment)?,
            #[cfg(feature = "prometheus")]
            Exporter::Prometheus => builder.prometheus.metrics(provider, environment)?,
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
    builder
        .metric_interval
        .unwrap_or_else(|| environment.positive_milliseconds("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_programs_then_the_environments_then_a_minute() {
        let variable = "OTEL_METRIC_EXPORT_INTERVAL";
        let unsaid = Builder::default();
        assert_eq!(interval(&unsaid, &Environment::of([])), Duration::from_secs(60));
        let environment = Environment::of([(variable, "10000")]);
        assert_eq!(interval(&unsaid, &environment), Duration::from_secs(10));
        let said = Builder::default().metric_interval(Duration::from_secs(1));
        assert_eq!(interval(&said, &environment), Duration::from_secs(1));
        for (value, reason) in [("0", "is too small"), ("often", "is not a valid number")] {
            let environment = Environment::of([(variable, value)]);
            assert_eq!(interval(&unsaid, &environment), INTERVAL);
            let expected = format!("{variable}={value:?} {reason}; used instead: 60000");
            assert_eq!(environment.into_warnings(), [expected]);
        }
    }
}
