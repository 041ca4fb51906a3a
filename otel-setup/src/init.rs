//! The steps of the setup.

use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::global;
use otel_runtime::propagation;

use crate::builder::Builder;
use crate::callback_guard::CallbackGuard;
#[cfg(feature = "config-file")]
use crate::config_file::Config;
use crate::env::Env;
use crate::error::InitError;
use crate::exporter::Exporter;
use crate::guarded_traces::GuardedTracers;
use crate::providers::Providers;
use crate::signal::Signal;
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
    /// If a part that the program adds panics.
    ///
    /// If a global `tracing` subscriber is already set, or if telemetry has been set up before in
    /// this process, even if it has been shut down.
    ///
    /// In all of these cases nothing is set up.
    pub fn init(self) -> Result<Telemetry, InitError> {
        init(self)
    }
}

/// Whether this process, or the one that it is a fork of, has been set up or is about to be.
static IS_SET_UP: AtomicBool = AtomicBool::new(false);

fn init(builder: Builder) -> Result<Telemetry, InitError> {
    // Another thread may do the same now.
    if IS_SET_UP.swap(true, Ordering::Relaxed) {
        return Err(InitError::new(
            "telemetry has already been set up in this process, and tracers, meters and layers made since then would \
             still use the first setup; call `init` once, and keep the `Telemetry` until the program ends",
        ));
    }
    let telemetry = set_up(builder);
    let is_set_up = telemetry
        .as_ref()
        .is_ok_and(|telemetry| telemetry.providers.process.is_some());
    IS_SET_UP.store(is_set_up, Ordering::Relaxed);
    telemetry
}

fn set_up(mut builder: Builder) -> Result<Telemetry, InitError> {
    let env = Env::from_process();
    let source = Source::read(env)?;
    // Parts that the program adds may panic, and so does tokio without a file descriptor.
    let built = catch_unwind(AssertUnwindSafe(|| source.providers(&mut builder)));
    let providers = built.unwrap_or_else(|payload| Err(panicked(payload)))?;
    let env = source.env();

    let layers = Layers {
        tracers: providers.tracers.clone(),
        loggers: providers.loggers.clone(),
        directives: Directives::from_env(env),
        span_directives: Directives::parse(
            "span_directives",
            builder.span_directives.as_deref().unwrap_or_default(),
            env,
        ),
        span_fields: !builder.without_span_fields,
        stdout: builder.stdout_logs.unwrap_or_default(),
    };
    if !builder.without_subscriber {
        subscriber::install(&layers)?;
    }

    // The globals come last: an error above leaves them unchanged.
    #[cfg(feature = "zpages")]
    providers.observe_calls();
    let propagator_warning = set_globals(&providers, &source, builder.set_propagator.take());
    for warning in source.into_warnings().into_iter().chain(propagator_warning) {
        log_warning(&warning);
    }
    #[cfg(any(feature = "prometheus", feature = "zpages"))]
    providers.log_chosen_ports();
    Ok(Telemetry {
        providers: Arc::new(providers),
        layers,
    })
}

#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> InitError {
    let words = payload.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| payload.downcast_ref::<&str>().copied());
    let error = InitError::new(format!(
        "the setup of telemetry panicked: {}",
        words.unwrap_or("without a message")
    ));
    // Dropping a payload may panic again.
    std::mem::forget(payload);
    error
}

/// A function of [`Builder::propagator`] that sets the global one.
type SetPropagator = Box<dyn FnOnce() + Send + Sync>;

/// Sets what is global. Returns a warning of propagators that are not known.
fn set_globals(providers: &Providers, source: &Source, set_propagator: Option<SetPropagator>) -> Option<String> {
    if let Some(tracers) = &providers.tracers {
        global::set_tracer_provider(GuardedTracers(tracers.clone()));
    }
    if let Some(meters) = &providers.meters {
        global::set_meter_provider(CallbackGuard(meters.clone()));
    }
    #[cfg(feature = "config-file")]
    if let Source::File(config, _) = &source {
        let options = &config.instrumentation;
        otel_runtime::set_stability_opt_in(options.stability_opt_in.clone());
        if let Some(layers) = &options.layers {
            layers.set_defaults();
        }
    }
    if let Some(set_propagator) = set_propagator {
        set_propagator();
        return None;
    }
    let (propagator, warning) = propagation::parse_names(&source.propagators());
    propagation::set_global(propagator);
    warning
}

/// The source of the settings that the program does not make.
enum Source {
    Variables(Env),
    /// A configuration file, and the variables that are not OpenTelemetry's.
    #[cfg(feature = "config-file")]
    File(Box<Config>, Env),
}

impl Source {
    #[cfg_attr(not(feature = "config-file"), allow(clippy::unnecessary_wraps))]
    fn read(env: Env) -> Result<Self, InitError> {
        #[cfg(feature = "config-file")]
        if let Some(path) = env.path("OTEL_CONFIG_FILE") {
            return Ok(Source::File(Box::new(Config::load(&path)?), env));
        }
        Ok(Source::Variables(env))
    }

    fn env(&self) -> &Env {
        match self {
            Source::Variables(env) => env,
            #[cfg(feature = "config-file")]
            Source::File(_, env) => env,
        }
    }

    fn providers(&self, builder: &mut Builder) -> Result<Providers, InitError> {
        match self {
            Source::Variables(env) if env.boolean("OTEL_SDK_DISABLED") => Ok(Providers::default()),
            Source::Variables(env) => providers(builder, env),
            #[cfg(feature = "config-file")]
            Source::File(config, _) if config.is_disabled => Ok(Providers::default()),
            #[cfg(feature = "config-file")]
            Source::File(config, _) => config.providers(builder),
        }
    }

    /// Returns the names of propagators.
    fn propagators(&self) -> String {
        match self {
            Source::Variables(env) => env.text("OTEL_PROPAGATORS").unwrap_or_default(),
            #[cfg(feature = "config-file")]
            Source::File(config, _) => config.propagators.clone(),
        }
    }

    fn into_warnings(self) -> Vec<String> {
        match self {
            Source::Variables(env) => env.into_warnings(),
            #[cfg(feature = "config-file")]
            Source::File(config, env) => [env.into_warnings(), config.into_warnings()].concat(),
        }
    }
}

fn providers(builder: &mut Builder, env: &Env) -> Result<Providers, InitError> {
    unsupported::warn(env);
    #[cfg(feature = "zpages")]
    builder.zpages.resolve(env)?;
    let resource = resource::resource(std::mem::take(&mut builder.resource_attributes), env);
    let exporters = Exporter::resolve(Signal::Traces, builder.trace_exporters.take(), env)?;
    let tracers = traces::provider(&with_env(exporters, env), builder, env, &resource)?;
    let exporters = Exporter::resolve(Signal::Metrics, builder.metric_exporters.take(), env)?;
    let meters = metrics::provider(&with_env(exporters, env), builder, env, &resource)?;
    let exporters = Exporter::resolve(Signal::Logs, builder.log_exporters.take(), env)?;
    let loggers = logs::provider(&with_env(exporters, env), builder, &resource)?;
    Providers::assemble(builder, env, tracers, meters, loggers)
}

fn with_env(exporters: Vec<Exporter>, env: &Env) -> Vec<(Exporter, &Env)> {
    exporters.into_iter().map(|exporter| (exporter, env)).collect()
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
