//! The providers of one setup, with their flush and shutdown.

#[cfg(any(feature = "prometheus", feature = "zpages"))]
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
#[cfg(any(feature = "prometheus", feature = "zpages"))]
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::builder::Builder;
use crate::env::Env;
use crate::error::{Failure, InitError, ShutdownError};
use crate::export_failure::Causes;
use crate::export_stats::{ExportStats, Loss};
use crate::fork_check::FORKED;
#[cfg(any(feature = "prometheus", feature = "zpages"))]
use crate::http_server::Endpoint;
use crate::shutdown::{Job, ShutdownOnce, Task, deadline_after, job, run_all, timeout_message};
use crate::signal::Signal;
#[cfg(feature = "zpages")]
use crate::zpages::Served;

/// The providers of the signals. A signal without an exporter has none.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    pub(crate) tracers: Option<SdkTracerProvider>,
    pub(crate) meters: Option<SdkMeterProvider>,
    pub(crate) loggers: Option<SdkLoggerProvider>,
    /// The process that was set up. `None` if nothing was.
    pub(crate) process: Option<u32>,
    /// The statistics of the exporters `otlp` and `console`.
    pub(crate) export_stats: Vec<Arc<ExportStats>>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus_address: Option<SocketAddr>,
    /// The scrape endpoint, until the shutdown.
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: Mutex<Option<Endpoint>>,
    #[cfg(feature = "zpages")]
    pub(crate) zpages_address: Option<SocketAddr>,
    /// The server of the zPages, until the shutdown.
    #[cfg(feature = "zpages")]
    pub(crate) zpages: Mutex<Option<Served>>,
    pub(crate) shutdown: ShutdownOnce,
}

impl Providers {
    /// Returns the providers, with what their exporters have left in the builder.
    #[cfg_attr(not(feature = "zpages"), allow(unused_variables, clippy::unnecessary_wraps))]
    pub(crate) fn assemble(
        builder: &mut Builder,
        env: &Env,
        tracers: Option<SdkTracerProvider>,
        meters: Option<SdkMeterProvider>,
        loggers: Option<SdkLoggerProvider>,
    ) -> Result<Self, InitError> {
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
            zpages_address: zpages.as_ref().map(|served| served.endpoint.address),
            #[cfg(feature = "zpages")]
            zpages: Mutex::new(zpages),
            ..Providers::default()
        })
    }

    /// Logs the addresses of the servers whose ports the system has chosen.
    #[cfg(any(feature = "prometheus", feature = "zpages"))]
    pub(crate) fn log_chosen_ports(&self) {
        #[cfg(feature = "prometheus")]
        if let Some(address) = chosen(&self.prometheus, |endpoint| endpoint) {
            tracing::info!(target: "otel_setup", "Prometheus can scrape http://{address}/metrics");
        }
        #[cfg(feature = "zpages")]
        if let Some(address) = chosen(&self.zpages, |served| &served.endpoint) {
            tracing::info!(target: "otel_setup", "the zPages are at http://{address}/debug/tracez");
        }
    }

    /// Lets the zPages show all calls from now on. That cannot be taken back.
    #[cfg(feature = "zpages")]
    pub(crate) fn observe_calls(&self) {
        let served = self.zpages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(served) = &*served {
            served.observe_calls();
        }
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shutdown.is_done()
    }

    /// Shuts all providers down, once. Later calls wait for the first and return its result.
    pub(crate) fn shut_down(&self, timeout: Duration) -> Result<(), ShutdownError> {
        if self.is_forked() {
            return Err(ShutdownError::for_all_signals(FORKED));
        }
        let begun = Instant::now();
        let deadline = deadline_after(timeout);
        let timed_out = || ShutdownError::for_all_signals(&timeout_message(timeout));
        self.shutdown.run(deadline, timed_out, || {
            self.set_deadlines(begun, deadline);
            let jobs = self.jobs(Task::ShutDown(timeout));
            let mut failures = run_all(timeout, jobs);
            #[cfg(feature = "prometheus")]
            drop(self.prometheus.lock().unwrap_or_else(PoisonError::into_inner).take());
            #[cfg(feature = "zpages")]
            drop(self.zpages.lock().unwrap_or_else(PoisonError::into_inner).take());
            for stats in &self.export_stats {
                stats.wait_until_closed(deadline);
                // The SDK may give up before the deadline, so the statistics overrule its result.
                let is_overruled = |failure: &Failure| stats.is_closed() && failure.reason.contains("Timeout");
                failures.retain(|failure| failure.signal != stats.signal || !is_overruled(failure));
            }
            replace_failures(&mut failures, &self.export_stats, |stats| stats.loss(timeout));
            ShutdownError::from_failures(failures)
        })
    }

    /// Sets the times at which the exporters give up: a little earlier than the deadline, so that
    /// their counts are complete. Those of metrics end one after another, and share the time.
    fn set_deadlines(&self, begun: Instant, deadline: Instant) {
        let timeout = deadline.saturating_duration_since(begun);
        let timeout = timeout.saturating_sub((timeout / 20).min(Duration::from_millis(200)));
        let is_metrics = |stats: &&Arc<ExportStats>| stats.signal == Signal::Metrics;
        let readers = self.export_stats.iter().filter(is_metrics);
        let count = u32::try_from(readers.clone().count()).unwrap_or(u32::MAX);
        for stats in &self.export_stats {
            let before = readers.clone().filter(|reader| reader.created < stats.created);
            let limit = if is_metrics(&stats) {
                timeout / count * (1 + u32::try_from(before.count()).unwrap_or(u32::MAX - 1))
            } else {
                timeout
            };
            stats.set_deadline(begun + limit);
        }
    }

    /// Returns a job for each signal.
    fn jobs(&self, task: Task) -> [Option<Job>; 3] {
        [
            self.tracers.clone().map(|tracers| {
                job(move || match task {
                    Task::Flush => tracers.force_flush(),
                    Task::ShutDown(timeout) => tracers.shutdown_with_timeout(timeout),
                })
            }),
            self.meters.clone().map(|meters| {
                job(move || match task {
                    Task::Flush => meters.force_flush(),
                    Task::ShutDown(timeout) => meters.shutdown_with_timeout(timeout),
                })
            }),
            self.loggers.clone().map(|loggers| {
                job(move || match task {
                    Task::Flush => loggers.force_flush(),
                    Task::ShutDown(timeout) => loggers.shutdown_with_timeout(timeout),
                })
            }),
        ]
    }

    /// Exports everything recorded so far. Reports only failures that happen meanwhile.
    ///
    /// Once a shutdown has begun, that exports the rest and reports the losses: its result counts.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), ShutdownError> {
        if self.is_forked() {
            return Err(ShutdownError::for_all_signals(FORKED));
        }
        let deadline = deadline_after(timeout);
        let timed_out = || ShutdownError::for_all_signals(&timeout_message(timeout));
        if let Some(result) = self.shutdown.wait(deadline, timed_out) {
            return result;
        }
        let before: Vec<Causes> = self.export_stats.iter().map(|stats| stats.causes()).collect();
        let jobs = self.jobs(Task::Flush);
        let mut failures = run_all(timeout, jobs);
        if !failures.is_empty()
            && let Some(result) = self.shutdown.wait(deadline, timed_out)
        {
            return result;
        }
        let mut before = before.into_iter();
        replace_failures(&mut failures, &self.export_stats, |stats| {
            stats.loss_since(&before.next().unwrap_or_default())
        });
        ShutdownError::from_failures(failures)
    }

    /// Returns whether this process is a fork of the one that was set up.
    fn is_forked(&self) -> bool {
        self.process.is_some_and(|process| process != process::id())
    }
}

/// Returns the address of a server if the system has chosen its port.
#[cfg(any(feature = "prometheus", feature = "zpages"))]
fn chosen<S>(served: &Mutex<Option<S>>, endpoint: impl FnOnce(&S) -> &Endpoint) -> Option<SocketAddr> {
    let served = served.lock().unwrap_or_else(PoisonError::into_inner);
    served
        .as_ref()
        .map(endpoint)
        .filter(|endpoint| endpoint.chose_port)
        .map(|endpoint| endpoint.address)
}

/// Replaces the SDK's failures of a signal by those of its exporters.
fn replace_failures(
    failures: &mut Vec<Failure>,
    stats: &[Arc<ExportStats>],
    mut loss: impl FnMut(&ExportStats) -> Option<Loss>,
) {
    let own: Vec<Failure> = stats
        .iter()
        .filter_map(|stats| loss(stats).map(|loss| Failure::with_loss(stats.signal, loss.lost, loss.message)))
        .collect();
    failures.retain(|failure| own.iter().all(|own| own.signal != failure.signal));
    failures.extend(own);
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
