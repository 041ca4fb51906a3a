//! `/debug/tracez.json`: the rows and the spans of `/debug/tracez`, for programs.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::SystemTime;

use opentelemetry::logs::Severity;
use opentelemetry_sdk::Resource;
use serde::Serialize;

use crate::console;
use crate::json_line::json_line;
use crate::text::time;
use crate::zpages::outcome::BOUNDS;
use crate::zpages::pages::samples::{Selection, Shown, select};
use crate::zpages::pages::summary::{Line, ROWS, lines};
use crate::zpages::query::Query;
use crate::zpages::registry::Registry;

#[derive(Serialize)]
struct Summary<'a> {
    spans: Vec<Row<'a>>,
    /// The number of rows that the filter selects.
    total: usize,
    /// The parameter `from` of the next rows, if there are more.
    next_from: Option<usize>,
    /// The running spans that have no row.
    uncounted_running: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(rename = "row")]
    id: usize,
    name: &'a str,
    kind: &'static str,
    is_rpc: bool,
    running: u64,
    latencies: Vec<Latency>,
    failures: BTreeMap<&'a str, u64>,
}

#[derive(Serialize)]
struct Latency {
    above_us: u64,
    count: u64,
}

#[derive(Serialize)]
struct Selected<'a> {
    name: &'a str,
    kind: &'static str,
    count: u64,
    samples: Vec<Sample<'a>>,
}

#[derive(Serialize)]
struct Sample<'a> {
    running: bool,
    age_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_messages: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_messages: Option<u64>,
    spans: Vec<serde_json::Value>,
    logs: Vec<Log<'a>>,
    missing_spans: u64,
    missing_logs: u64,
}

#[derive(Serialize)]
struct Log<'a> {
    time: Option<String>,
    severity: &'a str,
    span_id: String,
    target: &'a str,
    text: &'a str,
}

/// Returns the counts of the rows, as many as a page has, or the spans that the query selects.
/// `None` if there are none.
pub(in crate::zpages) fn json(registry: &Registry, query: &Query) -> Option<String> {
    let Some(id) = query.row else {
        let lines = lines(registry, &query.filter);
        let next = query.from.saturating_add(query.limit.map_or(ROWS, NonZero::get));
        let summary = Summary {
            spans: lines[query.from.min(lines.len())..next.min(lines.len())]
                .iter()
                .map(row)
                .collect(),
            total: lines.len(),
            next_from: Some(next).filter(|next| *next < lines.len()),
            uncounted_running: registry.uncounted(),
        };
        return json_line(&summary).ok();
    };
    let row = registry.rows.get(id)?;
    let selection = Selection::parse(row, &query.show)?;
    let (shown, count) = select(registry, row, &selection);
    let now = SystemTime::now();
    let selected = Selected {
        name: &row.name,
        kind: console::kind_name(&row.kind),
        count,
        samples: shown.iter().map(|shown| sample(shown, now)).collect(),
    };
    json_line(&selected).ok()
}

fn row(line: &Line) -> Row<'_> {
    let latencies = BOUNDS.iter().zip(line.counts.latencies);
    Row {
        id: line.id,
        name: &line.row.name,
        kind: console::kind_name(&line.row.kind),
        is_rpc: line.row.is_rpc,
        running: line.counts.running,
        latencies: latencies
            .map(|(bound, count)| Latency {
                above_us: u64::try_from(bound.as_micros()).unwrap_or(u64::MAX),
                count,
            })
            .collect(),
        failures: line
            .counts
            .failures
            .iter()
            .map(|(code, count)| (&**code, *count))
            .collect(),
    }
}

fn sample(shown: &Shown, now: SystemTime) -> Sample<'_> {
    let resource = Resource::builder_empty().build();
    let spans = shown.spans.iter().enumerate().filter_map(|(index, span)| {
        let is_running = shown.is_running && index == 0;
        let mut span = serde_json::to_value(console::json_span(span, &resource, is_running)).ok()?;
        // The resource is that of this process.
        span.as_object_mut()?.remove("resource");
        Some(span)
    });
    let start = shown.spans.first().map_or(now, |span| span.start_time);
    let logs = shown.inside.logs.iter().map(|line| Log {
        time: time(line.time),
        severity: line.severity.as_ref().map_or("", Severity::name),
        span_id: format!("0x{}", line.span_id),
        target: &line.source,
        text: &line.text,
    });
    Sample {
        running: shown.is_running,
        age_seconds: now.duration_since(start).unwrap_or_default().as_secs_f64(),
        peer: shown.call.peer.map(|peer| peer.to_string()),
        received_messages: shown.call.received,
        sent_messages: shown.call.sent,
        spans: spans.collect(),
        logs: logs.collect(),
        missing_spans: shown.inside.missing_spans,
        missing_logs: shown.inside.missing_logs,
    }
}
