//! The durations of RPCs in the last minute, ten minutes and hour, from the metrics.

mod snapshot;
mod windows;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;

pub(super) use windows::{Line, Stats, WINDOWS};

use crate::zpages::rpcz::snapshot::read;
use crate::zpages::rpcz::windows::Windows;

/// The time between two collections.
pub(super) const TICK: Duration = Duration::from_secs(10);

/// Collects the durations, and remembers those of an hour.
#[derive(Debug)]
pub(super) struct Rpcz {
    reader: Arc<dyn MetricReader>,
    windows: Mutex<Windows>,
}

/// The contents of the page.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) lines: Vec<Line>,
    /// The number of methods beyond the memory.
    pub(super) left_out: usize,
}

impl Rpcz {
    pub(super) fn new(reader: Arc<dyn MetricReader>, bytes: usize) -> Self {
        Rpcz {
            reader,
            windows: Mutex::new(Windows::new(bytes, Instant::now())),
        }
    }

    /// Collects and remembers. Called every [`TICK`].
    pub(super) fn tick(&self) {
        if let Some(metrics) = self.collect() {
            let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
            windows.update(read(&metrics));
            windows.tick(Instant::now());
        }
    }

    pub(super) fn report(&self) -> Report {
        let metrics = self.collect();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = metrics {
            windows.update(read(&metrics));
        }
        Report {
            lines: windows.lines(Instant::now()),
            left_out: windows.left_out(),
        }
    }

    /// Returns the current metrics, or `None` after the shutdown.
    fn collect(&self) -> Option<ResourceMetrics> {
        // Callbacks of the program's instruments run here.
        let collected = catch_unwind(AssertUnwindSafe(|| {
            let mut metrics = ResourceMetrics::default();
            self.reader.collect(&mut metrics).ok().map(|()| metrics)
        }));
        collected.ok().flatten()
    }
}
