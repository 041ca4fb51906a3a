//! Exemplars: the spans behind the buckets of a histogram.

use std::collections::HashMap;
use std::time::SystemTime;

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::data;
use otel_runtime::exemplars::{self, ExemplarFilter};

use crate::env::Env;
use crate::prometheus::labels::Labels;
use crate::prometheus::numbers::{Number, push_float, push_seconds};

const VARIABLE: &str = "OTEL_METRICS_EXEMPLAR_FILTER";

/// The instrumentation scope of the metrics that have exemplars.
const SCOPE: &str = "otel-runtime";

/// Enables the exemplars of RPCs. The specification's default is `trace_based`.
pub(crate) fn enable(env: &Env) {
    let known = [
        ("trace_based", ExemplarFilter::TraceBased),
        ("always_on", ExemplarFilter::AlwaysOn),
        ("always_off", ExemplarFilter::AlwaysOff),
    ];
    let filter = env.one_of(VARIABLE, &known, "trace_based");
    exemplars::set_filter(filter.unwrap_or(ExemplarFilter::TraceBased));
}

/// The exemplar of a bucket.
#[derive(Clone, Copy)]
pub(crate) struct Exemplar {
    trace_id: TraceId,
    span_id: SpanId,
    value: f64,
    time: SystemTime,
}

impl Exemplar {
    /// Writes the exemplar behind a sample.
    ///
    /// Clause "Exemplar Conversion": "Trace ID and Span ID MUST be added as Exemplar labels using
    /// the `trace_id` and `span_id` keys", and "Timestamps MUST be added".
    pub(crate) fn push(&self, out: &mut String) {
        let ids = format!(" # {{trace_id=\"{}\",span_id=\"{}\"}} ", self.trace_id, self.span_id);
        out.push_str(&ids);
        push_float(out, self.value);
        out.push(' ');
        push_seconds(out, self.time);
    }

    #[cfg(test)]
    pub(crate) fn at(value: f64, seconds: u64) -> Self {
        Exemplar {
            trace_id: TraceId::INVALID,
            span_id: SpanId::INVALID,
            value,
            time: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds),
        }
    }

    #[cfg(test)]
    pub(crate) fn value(&self) -> f64 {
        self.value
    }
}

/// The exemplars of all RPCs, by the names of their metrics and the attributes of their series.
#[derive(Default)]
pub(crate) struct Exemplars(HashMap<&'static str, HashMap<String, Vec<Exemplar>>>);

impl Exemplars {
    /// Reads the exemplars of otel-runtime.
    pub(crate) fn collect() -> Self {
        let mut found = Exemplars::default();
        for series in exemplars::collect() {
            let exemplars = series.exemplars.into_iter().map(|exemplar| Exemplar {
                trace_id: exemplar.trace_id,
                span_id: exemplar.span_id,
                value: exemplar.value,
                time: exemplar.time,
            });
            let of_metric = found.0.entry(series.metric).or_default();
            let of_series = of_metric.entry(text(series.attributes.iter())).or_default();
            of_series.extend(exemplars);
        }
        found
    }

    /// Returns the exemplars of a data point: the SDK's, or those of otel-runtime.
    pub(crate) fn for_point<T: Number>(
        &self,
        scope: &InstrumentationScope,
        metric: &str,
        point: &data::HistogramDataPoint<T>,
    ) -> Vec<Exemplar> {
        let from_sdk = point.exemplars().map(|exemplar| Exemplar {
            trace_id: TraceId::from_bytes(*exemplar.trace_id()),
            span_id: SpanId::from_bytes(*exemplar.span_id()),
            value: exemplar.value.as_f64(),
            time: exemplar.time(),
        });
        let mut found: Vec<Exemplar> = from_sdk.collect();
        if found.is_empty()
            && scope.name() == SCOPE
            && let Some(of_metric) = self.0.get(metric)
            && let Some(exemplars) = of_metric.get(&text(point.attributes()))
        {
            found.extend(exemplars);
        }
        found
    }
}

/// Returns the last of the exemplars with a value above `lower`, up to `upper`.
pub(crate) fn last_between(exemplars: &[Exemplar], lower: f64, upper: f64) -> Option<&Exemplar> {
    let within = exemplars
        .iter()
        .filter(|exemplar| exemplar.value > lower && exemplar.value <= upper);
    within.max_by_key(|exemplar| exemplar.time)
}

fn text<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut labels = Labels::new(true);
    labels.push_histogram_attributes(attributes);
    let mut text = String::new();
    labels.write(&mut text);
    text
}
