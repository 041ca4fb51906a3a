//! Sets up, in order.

use std::io::{self, Write};
use std::sync::Arc;
#[cfg(feature = "prometheus")]
use std::sync::Mutex;

use opentelemetry::global;
use opentelemetry::propagation::TextMapCompositePropagator;
use otel_runtime::propagation;

use crate::builder::Builder;
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
use crate::providers::Providers;
use crate::signal::Signal;
#[cfg(feature = "console")]
use crate::subscriber::StdoutLogs;
use crate::subscriber::{self, Directives, Layers};
use crate::telemetry::Telemetry;
use crate::{logs, metrics, resource, traces, unsupported};

impl Builder {
    /// Sets up.
    ///
    /// # `tracing`
    ///
    /// A `tracing` subscriber is installed, for all of the process, of [three layers](Telemetry#layers-for-a-subscriber-of-your-own): events become log records and lines on stdout, spans become
    /// OpenTelemetry's. What the `log` crate is told becomes events, too, if it has no other logger. The environment variable `RUST_LOG` says which events these are, in the
    /// [syntax](tracing_subscriber::filter::EnvFilter#directives) that all of Rust has for it: `RUST_LOG=warn`, `RUST_LOG=info,greeter=debug`. By default it is `info`; a directive that cannot be read is told and ignored.
    ///
    /// # Errors
    ///
    /// Where what the environment or the program asks for cannot be had; the text says which variable that is, and what to do. Or where there is a `tracing` subscriber
    /// already: then nothing is set up.
    pub fn init(self) -> Result<Telemetry, InitError> {
        init(self)
    }
}

fn init(mut builder: Builder) -> Result<Telemetry, InitError> {
    let env = Env::from_process();
    let providers = if env.boolean("OTEL_SDK_DISABLED") {
        Providers::default()
    } else {
        providers(&mut builder, &env)?
    };

    let layers = Layers {
        tracers: providers.tracers.clone(),
        loggers: providers.loggers.clone(),
        directives: Directives::from_env(&env),
        lines: builder.stdout_logs.unwrap_or_default(),
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
        let names = env.text("OTEL_PROPAGATORS");
        propagation::parse_names(names.as_deref().unwrap_or_default())
    };
    global::set_text_map_propagator(propagator);
    for warning in env.into_warnings().into_iter().chain(unknown_propagators) {
        tell(&warning);
    }
    Ok(Telemetry {
        providers: Arc::new(providers),
        layers,
    })
}

fn providers(builder: &mut Builder, env: &Env) -> Result<Providers, InitError> {
    unsupported::warn(env);
    let resource = resource::resource(std::mem::take(&mut builder.resource_attributes), env);
    let to = Exporter::resolve(Signal::Traces, builder.trace_exporters.take(), env)?;
    let tracers = traces::provider(&to, builder, env, &resource)?;
    let to = Exporter::resolve(Signal::Metrics, builder.metric_exporters.take(), env)?;
    let meters = metrics::provider(&to, builder, env, &resource)?;
    let to = Exporter::resolve(Signal::Logs, builder.log_exporters.take(), env)?;
    #[cfg(feature = "console")]
    if to.contains(&Exporter::Console) {
        // Each record would be there twice.
        builder.stdout_logs.get_or_insert(StdoutLogs::Off);
    }
    let loggers = logs::provider(&to, builder, env, &resource)?;
    Ok(Providers {
        tracers,
        meters,
        loggers,
        #[cfg(feature = "otlp")]
        export_stats: std::mem::take(&mut builder.otlp.export_stats),
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
        tracing::warn!(target: "otel_setup", "{warning}");
    } else {
        // Without a panic where stderr is closed.
        let _ = writeln!(io::stderr(), "{warning}");
    }
}
