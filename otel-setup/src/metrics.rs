//! The meter provider: exporters and their interval.

use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};

use crate::builder::{Builder, has_zpages};
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
#[cfg(any(feature = "console", feature = "otlp"))]
use crate::shutdown::spawn;
use crate::unsupported;

/// The default export interval.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// Builds the meter provider, or `None` without any exporter.
pub(crate) fn provider(
    exporters: &[(Exporter, &Env)],
    builder: &mut Builder,
    env: &Env,
    resource: &Resource,
) -> Result<Option<SdkMeterProvider>, InitError> {
    let configure = builder.configure_meter_provider.take();
    if !exporters.iter().any(|(exporter, _)| exporter.has_exemplars()) {
        unsupported::warn_if_set("OTEL_METRICS_EXEMPLAR_FILTER", env);
    }
    if exporters.is_empty() && configure.is_none() && !has_zpages(builder) {
        return Ok(None);
    }
    let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
    for (exporter, env) in exporters {
        let interval = interval(builder, env);
        provider = add_exporter(*exporter, provider, builder, interval, env).map_err(|error| error.in_places(env))?;
    }
    #[cfg(feature = "zpages")]
    {
        provider = builder.add_zpages_reader(provider);
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
    provider: MeterProviderBuilder,
    builder: &mut Builder,
    interval: Duration,
    env: &Env,
) -> Result<MeterProviderBuilder, InitError> {
    match exporter {
        #[cfg(feature = "console")]
        Exporter::Console => {
            require_thread()?;
            Ok(builder.console.metrics(provider, interval, env))
        }
        #[cfg(feature = "otlp")]
        Exporter::Otlp => {
            require_thread()?;
            builder.otlp.metrics(provider, interval, env)
        }
        #[cfg(feature = "prometheus")]
        Exporter::Prometheus => builder.prometheus.metrics(provider, env),
    }
}

/// Returns an error if no thread can be started. The SDK's reader of metrics would export nothing
/// then, without an error.
#[cfg(any(feature = "console", feature = "otlp"))]
fn require_thread() -> Result<(), InitError> {
    let thread = spawn(Box::new(|| ())).map_err(|error| {
        InitError::new(format!("cannot start the thread that exports metrics: {error}")).with_source(error)
    })?;
    // The reader's thread takes its place.
    let _ = thread.join();
    Ok(())
}

fn interval(builder: &Builder, env: &Env) -> Duration {
    builder
        .metric_export_interval
        .unwrap_or_else(|| env.positive_millis("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_then_the_environment_then_the_default_sets_the_interval() {
        let variable = "OTEL_METRIC_EXPORT_INTERVAL";
        let unset = Builder::default();
        assert_eq!(interval(&unset, &Env::from_vars([])), Duration::from_secs(60));
        let env = Env::from_vars([(variable, "10000")]);
        assert_eq!(interval(&unset, &env), Duration::from_secs(10));
        let explicit = Builder::default().metric_export_interval(Duration::from_secs(1));
        assert_eq!(interval(&explicit, &env), Duration::from_secs(1));
        for (value, problem) in [("0", "is not greater than 0"), ("often", "is not a valid number")] {
            let env = Env::from_vars([(variable, value)]);
            assert_eq!(interval(&unset, &env), DEFAULT_INTERVAL);
            let expected = format!("{variable}={value:?} {problem}; using 60000");
            assert_eq!(env.into_warnings(), [expected]);
        }
    }
}
