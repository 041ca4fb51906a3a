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
use crate::export_stats::Tally;
#[cfg(feature = "prometheus")]
use crate::prometheus::Endpoint;
use crate::shutdown::{Progress, deadline, each, job, too_slow};

/// What is there to be shut down: `None` is a signal that goes nowhere.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    pub(crate) tracers: Option<SdkTracerProvider>,
    pub(crate) meters: Option<SdkMeterProvider>,
    pub(crate) loggers: Option<SdkLoggerProvider>,
    /// The books of those that go to an OTLP receiver.
    pub(crate) tallies: Vec<Arc<Tally>>,
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus_address: Option<SocketAddr>,
    /// Until the shutdown.
    #[cfg(feature = "prometheus")]
    pub(crate) prometheus: Mutex<Option<Endpoint>>,
    pub(crate) shutdown: Progress,
}

impl Providers {
    pub(crate) fn is_shut_down(&self) -> bool {
        self.shutdown.is_done()
    }

    pub(crate) fn shut_down(&self, limit: Duration) -> Result<(), ShutdownError> {
        let deadline = deadline(limit);
        let too_slow = || ShutdownError::of_all(&too_slow(limit));
        self.shutdown.once(deadline, too_slow, || {
            for tally in &self.tallies {
                tally.must_close_by(deadline);
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
            for tally in &self.tallies {
                tally.wait_until_closed(deadline);
                // The books know more than the SDK, which may have stopped waiting before the time was up.
                if let Some(loss) = tally.loss(limit) {
                    failures.retain(|failure| failure.signal != tally.signal);
                    failures.push(Failure::counted(tally.signal, loss.lost, loss.text));
                } else if tally.is_closed() {
                    failures.retain(|failure| failure.signal != tally.signal || !failure.reason.contains("Timeout"));
                }
            }
            ShutdownError::of(failures)
        })
    }

    pub(crate) fn flush(&self, limit: Duration) -> Result<(), ShutdownError> {
        let before: Vec<u64> = self.tallies.iter().map(|tally| tally.failures().0).collect();
        let mut failures = each(
            limit,
            [
                self.tracers.clone().map(|tracers| job(move || tracers.force_flush())),
                self.meters.clone().map(|meters| job(move || meters.force_flush())),
                self.loggers.clone().map(|loggers| job(move || loggers.force_flush())),
            ],
        );
        for (tally, before) in self.tallies.iter().zip(before) {
            let (after, reason) = tally.failures();
            if let (1.., Some(reason)) = (after - before, reason) {
                failures.retain(|failure| failure.signal != tally.signal);
                failures.push(Failure::counted(tally.signal, after - before, reason));
            }
        }
        ShutdownError::of(failures)
    }
}
