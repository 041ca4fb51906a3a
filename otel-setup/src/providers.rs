//! The providers of one set-up, and their end: what is still there goes out, within a limit of time.

#[cfg(feature = "prometheus")]
use std::net::SocketAddr;
use std::sync::Arc;
#[cfg(feature = "prometheus")]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use crate::error::{Failure, ShutdownError};
use crate::export_stats::ExportStats;
#[cfg(feature = "prometheus")]
use crate::prometheus::Endpoint;
use crate::shutdown::{ShutdownOnce, deadline, each, job, too_slow};

/// What is there to be shut down: `None` is a signal that goes nowhere.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    pub(crate) tracers: Option<SdkTracerProvider>,
    pub(crate) meters: Option<SdkMeterProvider>,
    pub(crate) loggers: Option<SdkLoggerProvider>,
    /// The counts of those that go to an OTLP receiver.
    pub(crate) export_stats: Vec<Arc<ExportStats>>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus_address: Option<SocketAddr>,
    /// Until the shutdown.
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: Mutex<Option<Endpoint>>,
    pub(crate) shutdown: ShutdownOnce,
}

impl Providers {
    pub(crate) fn is_shut_down(&self) -> bool {
        self.shutdown.is_done()
    }

    pub(crate) fn shut_down(&self, limit: Duration) -> Result<(), ShutdownError> {
        let deadline = deadline(limit);
        let too_slow = || ShutdownError::for_all_signals(&too_slow(limit));
        self.shutdown.once(deadline, too_slow, || {
            for stats in &self.export_stats {
                stats.must_close_by(deadline);
            }
            let mut failures = each(
                limit,
                [
                    self.tracers
                        .clone()
                        .map(|tracers| job(move || tracers.shutdown_with_timeout(limit))),
                    self.meters
                        .clone()
                        .map(|meters| job(move || meters.shutdown_with_timeout(limit))),
                    self.loggers
                        .clone()
                        .map(|loggers| job(move || loggers.shutdown_with_timeout(limit))),
                ],
            );
            #[cfg(feature = "prometheus")]
            drop(self.prometheus.lock().unwrap_or_else(PoisonError::into_inner).take());
            for stats in &self.export_stats {
                stats.wait_until_closed(deadline);
                // The counts know more than the SDK, which may have stopped waiting before the time was up.
                if let Some(loss) = stats.loss(limit) {
                    failures.retain(|failure| failure.signal != stats.signal);
                    failures.push(Failure::with_loss(stats.signal, loss.lost, loss.text));
                } else if stats.is_closed() {
                    failures.retain(|failure| failure.signal != stats.signal || !failure.reason.contains("Timeout"));
                }
            }
            ShutdownError::from_failures(failures)
        })
    }

    pub(crate) fn flush(&self, limit: Duration) -> Result<(), ShutdownError> {
        let before: Vec<u64> = self.export_stats.iter().map(|stats| stats.failures().0).collect();
        let mut failures = each(
            limit,
            [
                self.tracers.clone().map(|tracers| job(move || tracers.force_flush())),
                self.meters.clone().map(|meters| job(move || meters.force_flush())),
                self.loggers.clone().map(|loggers| job(move || loggers.force_flush())),
            ],
        );
        for (stats, before) in self.export_stats.iter().zip(before) {
            let (after, reason) = stats.failures();
            if let (1.., Some(reason)) = (after - before, reason) {
                failures.retain(|failure| failure.signal != stats.signal);
                failures.push(Failure::with_loss(stats.signal, after - before, reason));
            }
        }
        ShutdownError::from_failures(failures)
    }
}
