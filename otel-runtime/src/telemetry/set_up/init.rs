//! Sets up, in order.

use std::io::{self, Write};
use std::sync::Arc;
#[cfg(feature = "prometheus")]
use std::sync::Mutex;

use opentelemetry::global;
use opentelemetry::propagation::TextMapCompositePropagator;

use super::environment::Environment;
use super::exporter::Exporter;
use super::signal::Signal;
use super::subscriber::{self, Directives, Layers, LogLines};
use super::{Builder, InitError, Providers, Telemetry, logs, metrics, resource, traces, unsupported};
use crate::propagation;

pub(super) fn init(mut builder: Builder) -> Result<Telemetry, InitError> {
    let environment = Environment::of_this_process();
    let providers = if environment.boolean("OTEL_SDK_DISABLED") {
        Providers::default()
    } else {
        providers(&mut builder, &environment)?
    };

    let layers = Layers {
        tracers: providers.tracers.clone(),
        loggers: providers.loggers.clone(),
        directives: Directives::of(&environment),
        lines: builder.log_lines.unwrap_or_default(),
    };
    if !builder.without_subscriber {
        subscriber::install(&layers)?;
    }

    // Nothing can fail from here on, so an error leaves nothing behind.
    if let Some(tracers) = &providers.tracers {
        global::set_tracer_provider(tracers.clone());
    }
    if let Some(meters) = &providers.meters {
        global::set_meter_provider(meters.clone());
    }
    let (propagator, unknown_propagators) = if let Some(propagator) = builder.propagator.take() {
        (TextMapCompositePropagator::new(vec![propagator]), None)
    } else {
        let names = environment.text(propagation::names::VARIABLE);
        propagation::names::read(names.as_deref().unwrap_or_default())
    };
    global::set_text_map_propagator(propagator);
    for warning in environment.into_warnings().into_iter().chain(unknown_propagators) {
        tell(&warning);
    }
    Ok(Telemetry {
        providers: Arc::new(providers),
        layers,
    })
}

fn providers(builder: &mut Builder, environment: &Environment) -> Result<Providers, InitError> {
    unsupported::warn(environment);
    let resource = resource::resource(std::mem::take(&mut builder.attributes), environment);
    let to = Exporter::of(Signal::Traces, builder.traces.take(), environment)?;
    let tracers = traces::provider(&to, builder, environment, &resource)?;
    let to = Exporter::of(Signal::Metrics, builder.metrics.take(), environment)?;
    let meters = metrics::provider(&to, builder, environment, &resource)?;
    let to = Exporter::of(Signal::Logs, builder.logs.take(), environment)?;
    if to.contains(&Exporter::Console) {
        // Each record would be there twice.
        builder.log_lines.get_or_insert(LogLines::Off);
    }
    let loggers = logs::provider(&to, builder, environment, &resource)?;
    Ok(Providers {
        tracers,
        meters,
        loggers,
        #[cfg(feature = "otlp")]
        tallies: std::mem::take(&mut builder.otlp.tallies),
        #[cfg(feature = "prometheus")]
        prometheus_address: builder.prometheus.endpoint.as_ref().map(|endpoint| endpoint.address),
        #[cfg(feature = "prometheus")]
        prometheus: Mutex::new(builder.prometheus.endpoint.take()),
        ..Providers::default()
    })
}

/// Where the program sets the subscriber later on, there is nobody to hear a warning yet.
fn tell(warning: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!(target: "otel_runtime::telemetry", "{warning}");
    } else {
        // Without a panic where stderr is closed.
        let _ = writeln!(io::stderr(), "{warning}");
    }
}
