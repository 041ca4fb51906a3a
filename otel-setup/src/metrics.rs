//! The meter provider.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use crate::builder::Builder;
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;

/// How often metrics are exported where nobody says.
const INTERVAL: Duration = Duration::from_secs(60);

/// `None` where metrics go nowhere.
pub(crate) fn provider(
    exporters: &[Exporter],
    builder: &mut Builder,
    env: &Env,
    resource: &Resource,
) -> Result<Option<SdkMeterProvider>, InitError> {
    let configure = builder.configure_meter_provider.take();
    if exporters.is_empty() && configure.is_none() {
        return Ok(None);
    }
    let interval = interval(builder, env);
    let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
    for exporter in exporters {
        provider = add(*exporter, provider, builder, interval, env)?;
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
    env: &Env,
) -> Result<MeterProviderBuilder, InitError> {
    match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => Ok(builder.console.metrics(provider, interval)),
        #[cfg(feature = "otlp")]
        Exporter::Otlp => builder.otlp.metrics(provider, interval, env),
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => builder.prometheus.metrics(provider, env),
    }
}

fn interval(builder: &Builder, env: &Env) -> Duration {
    builder
        .metric_export_interval
        .unwrap_or_else(|| env.positive_millis("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_the_programs_then_the_environments_then_a_minute() {
        let variable = "OTEL_METRIC_EXPORT_INTERVAL";
        let unsaid = Builder::default();
        assert_eq!(interval(&unsaid, &Env::from_vars([])), Duration::from_secs(60));
        let env = Env::from_vars([(variable, "10000")]);
        assert_eq!(interval(&unsaid, &env), Duration::from_secs(10));
        let said = Builder::default().metric_export_interval(Duration::from_secs(1));
        assert_eq!(interval(&said, &env), Duration::from_secs(1));
        for (value, reason) in [("0", "is too small"), ("often", "is not a valid number")] {
            let env = Env::from_vars([(variable, value)]);
            assert_eq!(interval(&unsaid, &env), INTERVAL);
            let expected = format!("{variable}={value:?} {reason}; used instead: 60000");
            assert_eq!(env.into_warnings(), [expected]);
        }
    }
}
