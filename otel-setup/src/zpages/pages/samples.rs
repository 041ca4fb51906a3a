//! `/debug/tracez?row=…&show=…`: the running spans of a name, or samples of those that ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Status, TraceId};
use opentelemetry_sdk::trace::SpanData;

use crate::console;
use crate::text::time;
use crate::zpages::html::Html;
use crate::zpages::outcome::BUCKETS;
use crate::zpages::pages::call_so_far::CallSoFar;
use crate::zpages::pages::document::{Frame, duration, end};
use crate::zpages::pages::inside::{attributes, events, links, logs, missing};
use crate::zpages::pages::summary;
use crate::zpages::pages::waterfall::{Bar, waterfall};
use crate::zpages::query::Query;
use crate::zpages::registry::Registry;
use crate::zpages::row::{Bucket, Row};
use crate::zpages::running::Running;
use crate::zpages::sample::{Inside, Sample};

/// The number of running spans on a page, the oldest ones.
const MAX_RUNNING: usize = 20;
/// The number of spans of a waterfall.
const MAX_BARS: usize = 64;

/// The spans of a row that a page shows.
pub(super) enum Selection {
    Running,
    Ended(Bucket),
}

impl Selection {
    /// Returns the selection that a parameter names: `running`, `latency-3` or `failure-INTERNAL`.
    pub(super) fn parse(row: &Row, show: &str) -> Option<Self> {
        if show == "running" {
            return Some(Selection::Running);
        }
        if let Some(index) = show.strip_prefix("latency-") {
            let index = index.parse().ok().filter(|index| *index < BUCKETS.len())?;
            return Some(Selection::Ended(Bucket::Latency(index)));
        }
        let code = show.strip_prefix("failure-")?;
        let failures = row.counts().failures;
        let index = failures.iter().position(|(known, _)| **known == *code)?;
        Some(Selection::Ended(Bucket::Failure(index)))
    }
}

/// A span to show: one that runs, or a sample.
pub(super) struct Shown {
    /// The span, and those inside that have ended.
    pub(super) spans: Vec<SpanData>,
    pub(super) inside: Inside,
    pub(super) is_running: bool,
    pub(super) call: CallSoFar,
}

impl Shown {
    fn running(running: &Running) -> Option<Self> {
        let (ended, inside) = running.inside();
        let mut spans = vec![running.span()?];
        spans.extend(ended);
        Some(Shown {
            spans,
            inside,
            is_running: true,
            call: CallSoFar::from_running(running),
        })
    }

    fn sample(sample: &Sample) -> Self {
        Shown {
            spans: sample.spans.clone(),
            inside: sample.inside.clone(),
            is_running: false,
            call: CallSoFar::default(),
        }
    }
}

/// Returns the spans of a row, and how many of them there are.
pub(super) fn select(registry: &Registry, row: &'static Row, selection: &Selection) -> (Vec<Shown>, u64) {
    let counts = row.counts();
    match selection {
        Selection::Running => {
            let running = registry.running();
            let of_row = running.iter().filter(|running| std::ptr::eq(running.row, row));
            let shown = of_row.take(MAX_RUNNING).filter_map(Shown::running);
            // Meanwhile some may have ended.
            (shown.collect(), counts.running.min(row.counts().running))
        }
        Selection::Ended(bucket) => {
            let count = match bucket {
                Bucket::Latency(index) => counts.latencies[*index],
                Bucket::Failure(index) => counts.failures.get(*index).map_or(0, |(_, count)| *count),
            };
            let samples = row.samples(*bucket);
            (samples.iter().map(|sample| Shown::sample(sample)).collect(), count)
        }
    }
}

/// All spans that are known, to complete traces with.
struct Known {
    running: Vec<Running>,
    samples: Vec<Arc<Sample>>,
}

impl Known {
    fn new(registry: &Registry) -> Self {
        let rows = registry.rows.all();
        Known {
            running: registry.running(),
            samples: rows.iter().flat_map(|row| row.all_samples()).collect(),
        }
    }

    /// Returns the spans of a trace that are known, with whether they run, and adds their log lines
    /// to those of the span that is shown.
    fn complete(&self, trace: TraceId, inside: &mut Inside) -> Vec<(SpanData, bool)> {
        let mut spans = Vec::new();
        let is_of = |span: &SpanData| span.span_context.trace_id() == trace;
        let running = self.running.iter();
        for running in running.filter(|running| running.trace_id() == trace) {
            spans.extend(running.span().map(|span| (span, true)));
            let (ended, other) = running.inside();
            spans.extend(ended.into_iter().map(|span| (span, false)));
            inside.logs.extend(other.logs);
        }
        for sample in self.samples.iter().filter(|sample| sample.span().is_some_and(is_of)) {
            spans.extend(sample.spans.iter().map(|span| (span.clone(), false)));
            inside.logs.extend(sample.inside.logs.iter().cloned());
        }
        // Samples of one trace have lines in common.
        inside.logs.sort_by(|a, b| (a.time, &a.text).cmp(&(b.time, &b.text)));
        inside
            .logs
            .dedup_by(|a, b| (a.time, a.span_id, &a.text) == (b.time, b.span_id, &b.text));
        spans
    }
}

/// Returns the page, or `None` if there is no such row or code.
pub(in crate::zpages) fn samples(registry: &Registry, query: &Query) -> Option<String> {
    let id = query.row?;
    let row = registry.rows.get(id)?;
    let selection = Selection::parse(row, &query.show)?;
    let (shown, count) = select(registry, row, &selection);
    let what = match &selection {
        Selection::Running => "running now".to_owned(),
        Selection::Ended(Bucket::Latency(index)) => format!("took {}", BUCKETS[*index]),
        Selection::Ended(Bucket::Failure(_)) => {
            format!(
                "failed with {}",
                query.show.strip_prefix("failure-").unwrap_or_default()
            )
        }
    };
    let title = format!("{} ({}), {what}", row.name, console::kind_name(&row.kind));
    let mut address = Html::default();
    address
        .raw("/debug/tracez?row=")
        .show(id)
        .raw("&show=")
        .parameter(&query.show);
    let address = address.finish();
    let frame = Frame {
        title: &title,
        address: &address,
        refresh: query.refresh,
    };
    let mut html = frame.begin(registry);
    summary::links(&mut html, id, &row.counts(), &query.show);
    html.raw("<p>").show(shown.len()).raw(" of ").show(count);
    html.raw(match selection {
        Selection::Running => " spans, the oldest first.",
        Selection::Ended(_) => " spans, the last one first.",
    });
    if matches!(selection, Selection::Running) && shown.len() < MAX_RUNNING && (shown.len() as u64) < count {
        html.raw(" The memory of these pages has no room for what is known of the others.");
    }
    html.raw("</p>\n");
    let now = SystemTime::now();
    let known = Known::new(registry);
    for (index, shown) in shown.iter().enumerate() {
        article(&mut html, &known, shown, index + 1, now);
    }
    Some(end(html))
}

fn article(html: &mut Html, known: &Known, shown: &Shown, number: usize, now: SystemTime) {
    let Some(span) = shown.spans.first() else { return };
    let trace = span.span_context.trace_id();
    html.raw("<article>\n<h2>").show(number).raw(". ");
    if shown.is_running {
        let age = now.duration_since(span.start_time).unwrap_or_default();
        html.raw("Running for ").text(&duration(age));
    } else {
        let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
        html.raw("Took ").text(&duration(took));
    }
    html.raw("</h2>\n<p class=\"d\">Started ");
    html.text(time(span.start_time).as_deref().unwrap_or("at an unknown time"));
    html.raw(", trace <span class=\"m\">").show(trace).raw("</span></p>\n");
    shown.call.write(html);
    if let Status::Error { description } = &span.status
        && !description.is_empty()
    {
        html.raw("<p class=\"f m\">").text(description).raw("</p>\n");
    }
    let mut inside = shown.inside.clone();
    let others = known.complete(trace, &mut inside);
    let bars = bars(shown, &others);
    waterfall(html, &bars, span.span_context.span_id(), now);
    missing(html, inside.missing_spans, " earlier spans inside are not kept.");
    logs(html, &inside);
    attributes(html, "Attributes", &span.attributes, span.dropped_attributes_count);
    events(html, span);
    links(html, span);
    html.raw("</article>\n");
}

/// Returns the spans of a waterfall, each once.
fn bars<'a>(shown: &'a Shown, others: &'a [(SpanData, bool)]) -> Vec<Bar<'a>> {
    let own = shown.spans.iter().enumerate().map(|(index, span)| Bar {
        span,
        is_running: shown.is_running && index == 0,
    });
    let others = others.iter().map(|(span, is_running)| Bar {
        span,
        is_running: *is_running,
    });
    let mut seen = HashSet::new();
    own.chain(others)
        .filter(|bar| seen.insert(bar.span.span_context.span_id()))
        .take(MAX_BARS)
        .collect()
}
