//! A sampler that records what it is asked.

use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use super::{Attributes, Shared, attributes};

/// A sampler that always returns one decision, and records its arguments: name, kind, attributes.
#[derive(Clone, Debug)]
pub struct RecordingSampler {
    decision: SamplingDecision,
    /// The arguments of each decision.
    pub decisions: Shared<Vec<(String, SpanKind, Attributes)>>,
}

impl RecordingSampler {
    /// Creates a sampler that returns `decision` for every span.
    #[must_use]
    pub fn new(decision: SamplingDecision) -> Self {
        RecordingSampler {
            decision,
            decisions: Shared::default(),
        }
    }
}

impl ShouldSample for RecordingSampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        kind: &SpanKind,
        found: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let arguments = (name.to_owned(), kind.clone(), attributes(found));
        self.decisions.lock().unwrap().push(arguments);
        SamplingResult {
            decision: self.decision.clone(),
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}
