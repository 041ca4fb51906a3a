//! The meter provider.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use crate::builder::Builder;
use crate::env::Environment;
use crate::error::InitError;
use crate::exporter::Exporter;

/// How often metrics are exported where nobody says.
const INTERVAL: Duration = Duration::from_secs(60);

/// `None` where metrics go nowhere.
pub(crate) fn provider(
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
        provider = add(*exporter, provider, builder, interval, environment)?;
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
fn add(
    exporter: Exporter,
    provider: MeterProviderBuilder,
    builder: &mut Builder,
    interval: Duration,
    environment: &Environment,
) -> Result<MeterProviderBuilder, InitError> {
    match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => Ok(builder.console.metrics(provider, interval)),
        #[cfg(feature = "otlp")]
        Exporter::Otlp => builder.otlp.metrics(provider, interval, environment),
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => builder.prometheus.metrics(provider, environment),
    }
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
