//! Whether spans, durations and active requests agree.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use super::metrics::RecordedMetrics;
use super::recorder::Spans;
use super::report;
use super::sdk::Sdk;
use super::wait::{On, wait};
use crate::text::counted;

/// The scope of the spans that are counted.
const SCOPE: &str = "otel-runtime";

/// The ways in which a call's span and duration are told apart.
const KEYS: [&str; 3] = ["rpc.method", "rpc.status_code", "error.type"];

/// The numbers of one kind of call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    spans: u64,
    durations: u64,
}

/// Waits until the telemetry is balanced. Panics with the differences if it does not become so.
pub(super) async fn assert_balanced(sdk: &Arc<Sdk>, limit: Duration, caller: &Location<'_>) {
    let mut differences = Vec::new();
    let check = || {
        // Collecting is in vain while spans run, and a call's span ends last.
        if !sdk.recorder.read(Spans::all_have_ended) {
            differences = vec!["spans are running".to_owned()];
            return None;
        }
        differences = imbalances(sdk);
        differences.is_empty().then_some(())
    };
    if wait(On::Metrics, &sdk.recorder, limit, check).await.is_none() {
        let differences = differences.join("\n  ");
        report::fail(sdk, caller, &format!("not balanced within {limit:?}:\n  {differences}"));
    }
}

fn imbalances(sdk: &Arc<Sdk>) -> Vec<String> {
    let metrics = RecordedMetrics::collect(sdk);
    let mut found = Vec::new();
    for (kind, side) in [(SpanKind::Server, "server"), (SpanKind::Client, "client")] {
        let mut calls: BTreeMap<String, Counts> = BTreeMap::new();
        sdk.recorder.read(|spans| {
            let ours = spans
                .ended
                .iter()
                .filter(|span| span.instrumentation_scope.name() == SCOPE);
            for span in ours.filter(|span| span.span_kind == kind) {
                calls.entry(call(&span.attributes)).or_default().spans += 1;
            }
        });
        for point in metrics.metric(&format!("rpc.{side}.call.duration")).points() {
            calls.entry(call(&point.attributes)).or_default().durations += point.count;
        }
        let unequal = calls.into_iter().filter(|(_, counts)| counts.spans != counts.durations);
        found.extend(unequal.map(|(call, Counts { spans, durations })| {
            let (spans, durations) = (counted(spans, "spans"), counted(durations, "durations"));
            format!("{side} {{{call}}}: {spans}, {durations}")
        }));
        let name = format!("rpc.{side}.active_requests");
        let active = metrics.metric(&name);
        let active = active.points().iter().filter(|point| point.value != 0.0);
        found.extend(active.map(|point| format!("{name}{{{}}}: {}", call(&point.attributes), point.value)));
    }
    found
}

/// Returns the attributes that spans and durations of one kind of call share.
fn call(attributes: &[KeyValue]) -> String {
    let shared = KEYS.iter().filter_map(|key| {
        let found = attributes.iter().find(|attribute| attribute.key.as_str() == *key);
        found.map(|attribute| attribute.value.to_string())
    });
    shared.collect::<Vec<_>>().join(", ")
}
