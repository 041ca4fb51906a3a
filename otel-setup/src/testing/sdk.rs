//! The SDK of a test: its providers, and what they have recorded.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanLimits};
use otel_runtime::{Instrumentation, propagation};

use super::recorder::{Recorder, Spans};
use crate::limited_spans::{self, LimitedSpans};
use crate::metric_reader::Reader;

/// The longest wait for spans of an earlier test, whose tasks end a moment after it.
const EARLIER_SPANS: Duration = Duration::from_secs(1);

/// Providers that record in memory.
#[derive(Debug)]
pub(super) struct Sdk {
    pub(super) instrumentation: Instrumentation,
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    pub(super) recorder: Recorder,
    reader: Reader,
    /// The collections, each with what has been recorded since the one before.
    collected: Mutex<Vec<Arc<ResourceMetrics>>>,
    pub(super) is_global: bool,
}

impl Sdk {
    /// Creates providers for one test.
    pub(super) fn for_one_test(propagator: impl TextMapPropagator + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Sdk::new(false, |tracers, meters| {
            Instrumentation::builder()
                .tracer_provider(tracers)
                .meter_provider(meters)
                .propagator(propagator)
                .build()
        }))
    }

    /// Returns the global providers, with nothing recorded.
    pub(super) fn global() -> Arc<Self> {
        static GLOBAL: LazyLock<Arc<Sdk>> = LazyLock::new(|| {
            Arc::new(Sdk::new(true, |tracers, meters| {
                global::set_tracer_provider(tracers.clone());
                global::set_meter_provider(meters.clone());
                propagation::set_global(propagation::from_names("tracecontext,baggage"));
                Instrumentation::builder().build()
            }))
        });
        GLOBAL.restart();
        Arc::clone(&GLOBAL)
    }

    fn new(
        is_global: bool,
        instrumentation: impl FnOnce(&SdkTracerProvider, &SdkMeterProvider) -> Instrumentation,
    ) -> Self {
        let recorder = Recorder::default();
        // The defaults of `init`. Without them, the SDK would read the environment.
        let limits = SpanLimits::default();
        let tracers = SdkTracerProvider::builder()
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_span_limits(limited_spans::until_the_end(limits))
            .with_span_processor(LimitedSpans::new(Some(limits), recorder.clone()))
            .build();
        let reader = Reader::delta();
        let meters = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        Sdk {
            instrumentation: instrumentation(&tracers, &meters),
            tracers,
            meters,
            recorder,
            reader,
            collected: Mutex::default(),
            is_global,
        }
    }

    /// Forgets what earlier tests have recorded, once their spans have ended.
    fn restart(&self) {
        let start = Instant::now();
        while !self.recorder.read(Spans::all_have_ended) && start.elapsed() < EARLIER_SPANS {
            thread::yield_now();
        }
        self.collect_once();
        self.recorder.clear();
        self.lock().clear();
    }

    /// Collects the metrics.
    pub(super) fn collect(&self) {
        let metrics = self.collect_once();
        self.lock().push(Arc::new(metrics));
    }

    /// Returns the metrics that have been collected.
    pub(super) fn collected(&self) -> Vec<Arc<ResourceMetrics>> {
        self.lock().clone()
    }

    fn collect_once(&self) -> ResourceMetrics {
        let mut metrics = ResourceMetrics::default();
        // A meter provider that was shut down has nothing more.
        let _ = self.reader.collect(&mut metrics);
        metrics
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<ResourceMetrics>>> {
        self.collected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
