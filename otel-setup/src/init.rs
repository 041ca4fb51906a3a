//! The steps of the setup.

use std::io::{self, Write};
use std::process;
use std::sync::Arc;
#[cfg(any(feature = "prometheus", feature = "zpages"))]
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::global;
use otel_runtime::propagation;

use crate::builder::Builder;
use crate::callback_guard::CallbackGuard;
use crate::env::Env;
use crate::error::InitError;
use crate::export_stats::ExportStats;
use crate::exporter::Exporter;
use crate::providers::Providers;
use crate::signal::Signal;
#[cfg(feature = "console")]
use crate::subscriber::StdoutLogs;
use crate::subscriber::{self, Directives, Layers};
use crate::telemetry::Telemetry;
use crate::{logs, metrics, resource, traces, unsupported};

impl Builder {
    /// Sets up telemetry: the global providers, the global propagator and the `tracing` subscriber.
    ///
    /// # The `tracing` subscriber
    ///
    /// The global subscriber consists of [three
    /// layers](Telemetry#layers-for-a-subscriber-of-your-own): events become log records and lines
    /// on stdout, and spans become OpenTelemetry spans. Records of the `log` crate become events,
    /// unless the program has set another logger.
    ///
    /// The environment variable `RUST_LOG` filters the events with the [directives of
    /// `EnvFilter`](tracing_subscriber::filter::EnvFilter#directives): `RUST_LOG=warn`,
    /// `RUST_LOG=info,greeter=debug`. The default is `info`. Invalid directives are ignored with a
    /// warning.
    ///
    /// # Errors
    ///
    /// If a requested exporter cannot be set up. The message names the variable, and the value to
    /// write instead.
    ///
    /// If a global `tracing` subscriber is already set, or if telemetry has been set up before in
    /// this process, even if it has been shut down.
    ///
    /// In all of these cases nothing is set up.
    pub fn init(self) -> Result<Telemetry, InitError> {
        init(self)
    }
}

/// Whether this process, or the one that it is a fork of, has been set up.
static IS_SET_UP: AtomicBool = AtomicBool::new(false);

fn init(mut builder: Builder) -> Result<Telemetry, InitError> {
    if IS_SET_UP.load(Ordering::Relaxed) {
        return Err(InitError::new(
            "telemetry has already been set up in this process, and tracers, meters and layers made since then would \
             still use the first setup; call `init` once, and keep the `Telemetry` until the program ends",
        ));
    }
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
        stdout: builder.stdout_logs.unwrap_or_default(),
    };
    if !builder.without_subscriber {
        subscriber::install(&layers)?;
    }

    // The globals come last: an error above leaves them unchanged.
    IS_SET_UP.fetch_or(providers.process.is_some(), Ordering::Relaxed);
    if let Some(tracers) = &providers.tracers {
        global::set_tracer_provider(tracers.clone());
    }
    if let Some(meters) = &providers.meters {
        global::set_meter_provider(CallbackGuard(meters.clone()));
    }
    let propagator_warning = if let Some(set_propagator) = builder.set_propagator.take() {
        set_propagator();
        None
    } else {
        let names = env.text("OTEL_PROPAGATORS");
        let (propagator, warning) = propagation::parse_names(names.as_deref().unwrap_or_default());
        propagation::set_global(propagator);
        warning
    };
    for warning in env.into_warnings().into_iter().chain(propagator_warning) {
        log_warning(&warning);
    }
    #[cfg(any(feature = "prometheus", feature = "zpages"))]
    providers.log_chosen_ports();
    Ok(Telemetry {
        providers: Arc::new(providers),
        layers,
    })
}

fn providers(builder: &mut Builder, env: &Env) -> Result<Providers, InitError> {
    unsupported::warn(env);
    #[cfg(feature = "zpages")]
    builder.zpages.resolve(env)?;
    let resource = resource::resource(std::mem::take(&mut builder.resource_attributes), env);
    let exporters = Exporter::resolve(Signal::Traces, builder.trace_exporters.take(), env)?;
    let tracers = traces::provider(&exporters, builder, env, &resource)?;
    let exporters = Exporter::resolve(Signal::Metrics, builder.metric_exporters.take(), env)?;
    let meters = metrics::provider(&exporters, builder, env, &resource)?;
    let exporters = Exporter::resolve(Signal::Logs, builder.log_exporters.take(), env)?;
    #[cfg(feature = "console")]
    if exporters.contains(&Exporter::Console) {
        // Otherwise stdout would show every event twice.
        builder.stdout_logs.get_or_insert(StdoutLogs::Off);
    }
    let loggers = logs::provider(&exporters, builder, env, &resource)?;
    #[cfg(feature = "zpages")]
    let zpages = builder.serve_zpages(env)?;
    Ok(Providers {
        tracers,
        meters,
        loggers,
        process: Some(process::id()),
        export_stats: export_stats(builder),
        #[cfg(feature = "prometheus")]
        prometheus_address: builder.prometheus.endpoint.as_ref().map(|endpoint| endpoint.address),
        #[cfg(feature = "prometheus")]
        prometheus: Mutex::new(builder.prometheus.endpoint.take()),
        #[cfg(feature = "zpages")]
        zpages_address: zpages.as_ref().map(|endpoint| endpoint.address),
        #[cfg(feature = "zpages")]
        zpages: Mutex::new(zpages),
        ..Providers::default()
    })
}

/// Returns the statistics of all exporters that have them.
#[allow(
    unused_mut,
    unused_variables,
    reason = "the Cargo features decide which exporters there are"
)]
fn export_stats(builder: &mut Builder) -> Vec<Arc<ExportStats>> {
    let mut stats = Vec::new();
    #[cfg(feature = "otlp")]
    stats.append(&mut builder.otlp.export_stats);
    #[cfg(feature = "console")]
    stats.append(&mut builder.console.export_stats);
    stats
}

/// Logs a warning, on stderr if the program sets its subscriber later.
fn log_warning(warning: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!(target: "otel_setup", "{warning}");
    } else {
        // `eprintln!` would panic if stderr is closed.
        let _ = writeln!(io::stderr(), "{warning}");
    }
}
