//! A span that has ended, and assertions on it.

use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Value;
use opentelemetry_sdk::trace::SpanData;

use super::report;
use super::sdk::Sdk;
use super::wait::{On, wait};

/// A span that has ended, from a [`TestTelemetry`](super::TestTelemetry).
///
/// Dereferences to the SDK's [`SpanData`]: name, status, events and links. Assertions return the
/// span, so that they can follow each other. If one fails, it shows the trace.
#[derive(Clone, Debug)]
pub struct RecordedSpan {
    data: SpanData,
    sdk: Arc<Sdk>,
    limit: Duration,
}

impl RecordedSpan {
    pub(super) fn new(data: SpanData, sdk: &Arc<Sdk>, limit: Duration) -> Self {
        RecordedSpan {
            data,
            sdk: Arc::clone(sdk),
            limit,
        }
    }

    /// Returns the value of an attribute, as it is exported: the last one if it was set again.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        let found = self.data.attributes.iter().find(|found| found.key.as_str() == key);
        found.map(|found| &found.value)
    }

    /// Asserts that an attribute has a value.
    ///
    /// # Example
    ///
    /// ```
    /// # use otel_setup::testing::RecordedSpan;
    /// # fn example(span: &RecordedSpan) {
    /// span.assert_attribute("rpc.status_code", "NOT_FOUND")
    ///     .assert_attribute("order.items", 3)
    ///     .assert_no_attribute("error.type");
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the span does not have it, or has another value. The message has the trace.
    #[track_caller]
    pub fn assert_attribute(&self, key: &str, value: impl Into<Value>) -> &Self {
        let (value, found) = (value.into(), self.attribute(key));
        if found != Some(&value) {
            let found = found.map_or_else(|| "no such attribute".to_owned(), report::value);
            self.fail(&format!("expected {key}={}, found {found}", report::value(&value)));
        }
        self
    }

    /// Asserts that the span does not have an attribute.
    ///
    /// # Panics
    ///
    /// Panics if the span has it, with any value. The message has the trace.
    #[expect(clippy::must_use_candidate, reason = "an assertion")]
    #[track_caller]
    pub fn assert_no_attribute(&self, key: &str) -> &Self {
        if let Some(found) = self.attribute(key) {
            self.fail(&format!("expected no {key}, found {}", report::value(found)));
        }
        self
    }

    /// Returns the children that have ended so far, in the order of their start.
    #[must_use]
    pub fn children(&self) -> Vec<RecordedSpan> {
        let mut children = self.sdk.recorder.read(|spans| {
            let children = spans.ended.iter().filter(|span| self.is_parent_of(span));
            children.cloned().collect::<Vec<_>>()
        });
        children.sort_by_key(|span| span.start_time);
        let children = children.into_iter();
        children
            .map(|span| RecordedSpan::new(span, &self.sdk, self.limit))
            .collect()
    }

    /// Waits for the child with this name to end, and returns it.
    ///
    /// # Example
    ///
    /// ```
    /// # use otel_setup::testing::RecordedSpan;
    /// # async fn example(span: &RecordedSpan) {
    /// span.child("SELECT orders").await.assert_attribute("db.system.name", "postgresql");
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if the span has no such child, or another one, ended or not. The message has the
    /// trace.
    #[track_caller]
    pub fn child(&self, name: &str) -> impl Future<Output = RecordedSpan> {
        let caller = Location::caller();
        let wanted = format!("child {name} of {}", self.data.name);
        async move {
            let is_child = |span: &SpanData| span.name == name && self.is_parent_of(span);
            only(&self.sdk, self.limit, &wanted, caller, is_child).await
        }
    }

    /// Returns the SDK's data of the span.
    #[must_use]
    pub fn into_data(self) -> SpanData {
        self.data
    }

    fn is_parent_of(&self, span: &SpanData) -> bool {
        let this = &self.data.span_context;
        span.parent_span_id == this.span_id() && span.span_context.trace_id() == this.trace_id()
    }

    #[track_caller]
    fn fail(&self, problem: &str) -> ! {
        let id = self.data.span_context.trace_id();
        let trace = self.sdk.recorder.read(|spans| {
            let trace = spans.ended.iter().filter(|span| span.span_context.trace_id() == id);
            trace.cloned().collect::<Vec<_>>()
        });
        let attributes = report::attributes(&self.data.attributes);
        panic!(
            "{}: {problem}\nattributes: {attributes}\n\n{}",
            self.data.name,
            crate::console::waterfall(&trace, false)
        )
    }
}

impl Deref for RecordedSpan {
    type Target = SpanData;

    fn deref(&self) -> &SpanData {
        &self.data
    }
}

/// Waits for a span to end, and returns it. Panics if there is none, or another one.
pub(super) async fn only(
    sdk: &Arc<Sdk>,
    limit: Duration,
    wanted: &str,
    caller: &Location<'_>,
    is_wanted: impl Fn(&SpanData) -> bool,
) -> RecordedSpan {
    let find = || {
        sdk.recorder.read(|spans| {
            let ended = spans.ended.iter().filter(|span| is_wanted(span));
            let ended: Vec<SpanData> = ended.cloned().collect();
            let running = spans.running.values().filter(|span| is_wanted(span)).count();
            (!ended.is_empty()).then_some((ended, running))
        })
    };
    let (mut ended, running) = wait(On::Spans, &sdk.recorder, limit, find).await.unwrap_or_default();
    match (ended.len(), running) {
        (1, 0) => RecordedSpan::new(ended.remove(0), sdk, limit),
        (0, _) => report::fail(sdk, caller, &format!("no {wanted} has ended within {limit:?}")),
        (ended, running) => report::fail(
            sdk,
            caller,
            &format!("expected one {wanted}, found {ended} ended and {running} running"),
        ),
    }
}
