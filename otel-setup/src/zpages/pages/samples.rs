//! `/debug/tracez?row=…&show=…`: the running spans of a name, or samples of those that ended.

use std::time::SystemTime;

use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;

use crate::console;
use crate::text::{counted, time};
use crate::zpages::html::Html;
use crate::zpages::outcome::BUCKETS;
use crate::zpages::pages::call_so_far::CallSoFar;
use crate::zpages::pages::document::{Frame, duration, end};
use crate::zpages::pages::inside::{attributes, events, links, logs, missing};
use crate::zpages::pages::summary;
use crate::zpages::pages::traces::Traces;
use crate::zpages::pages::waterfall::{Bar, waterfall};
use crate::zpages::query::Query;
use crate::zpages::registry::Registry;
use crate::zpages::row::{Bucket, Row};
use crate::zpages::running::Running;
use crate::zpages::sample::{Inside, Sample};

/// The number of running spans on a page, the oldest ones.
const MAX_RUNNING: usize = 20;

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
    html.raw("<p>")
        .show(shown.len())
        .raw(" of ")
        .show(counted(count, "spans"));
    html.raw(match selection {
        Selection::Running => ", the oldest first.",
        Selection::Ended(_) => ", the last one first.",
    });
    if matches!(selection, Selection::Running) && shown.len() < MAX_RUNNING && (shown.len() as u64) < count {
        html.raw(" The memory of these pages has no room for what is known of the others.");
    }
    html.raw("</p>\n");
    let now = SystemTime::now();
    let traces = Traces::new(registry, shown.len());
    for (index, shown) in shown.iter().enumerate() {
        article(&mut html, &traces, shown, index + 1, now);
    }
    Some(end(html))
}

fn article(html: &mut Html, traces: &Traces, shown: &Shown, number: usize, now: SystemTime) {
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
    let rest = traces.rest(&shown.spans, &shown.inside.logs);
    let own = shown.spans.iter().enumerate().map(|(index, span)| Bar {
        span,
        is_running: shown.is_running && index == 0,
    });
    let others = rest.spans.iter().map(|(span, is_running)| Bar {
        span,
        is_running: *is_running,
    });
    let bars: Vec<Bar<'_>> = own.chain(others).collect();
    waterfall(html, &bars, span.span_context.span_id(), now);
    missing(
        html,
        shown.inside.missing_spans,
        " earlier span inside is not kept.",
        " earlier spans inside are not kept.",
    );
    missing(
        html,
        rest.more_spans,
        " more span of the trace is not shown.",
        " more spans of the trace are not shown.",
    );
    let mut lines = shown.inside.logs.clone();
    lines.extend(rest.logs);
    lines.sort_by(|a, b| (a.time, &a.text).cmp(&(b.time, &b.text)));
    logs(html, &lines, shown.inside.missing_logs, rest.more_logs);
    attributes(html, "Attributes", &span.attributes, span.dropped_attributes_count);
    events(html, span);
    links(html, span);
    html.raw("</article>\n");
}
