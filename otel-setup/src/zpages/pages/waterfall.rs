//! Spans of a trace as rows of a table, with bars that show when they ran.

use std::time::SystemTime;

use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::trace::SpanData;

use crate::console::{self, WaterfallLine};
use crate::zpages::html::Html;

/// A span of a trace.
pub(super) struct Bar<'a> {
    pub(super) span: &'a SpanData,
    pub(super) is_running: bool,
}

/// Adds the table of the spans of one trace. Running spans end at `now`.
pub(super) fn waterfall(html: &mut Html, bars: &[Bar<'_>], shown: SpanId, now: SystemTime) {
    let spans: Vec<SpanData> = bars
        .iter()
        .map(|bar| {
            let mut span = bar.span.clone();
            if bar.is_running {
                span.end_time = now.max(span.start_time);
            }
            span
        })
        .collect();
    let running: Vec<SpanId> = bars
        .iter()
        .filter(|bar| bar.is_running)
        .map(|bar| bar.span.span_context.span_id())
        .collect();
    html.raw("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Waterfall\"><table>\n");
    html.raw("<caption>The trace in this process</caption>\n<thead><tr>");
    html.raw("<th scope=\"col\" class=\"l\">Span<th scope=\"col\" class=\"l\">Kind<th scope=\"col\">Duration");
    html.raw("<th scope=\"col\" class=\"l\">Status<th scope=\"col\" class=\"l b\">When it ran</thead>\n<tbody>\n");
    for line in console::waterfall_lines(&spans) {
        let is_running = line
            .span
            .is_some_and(|span| running.contains(&span.span_context.span_id()));
        self::line(html, &line, is_running, shown);
    }
    html.raw("</tbody>\n</table></div>\n");
}

fn line(html: &mut Html, line: &WaterfallLine<'_>, is_running: bool, shown: SpanId) {
    html.raw("<tr><th scope=\"row\" class=\"n\"><span class=\"d\" aria-hidden=\"true\">");
    html.text(&line.branch).raw("</span>");
    let Some(span) = line.span else {
        html.raw("<span class=\"d\">")
            .text(&line.name)
            .raw("</span><td><td><td><td>\n");
        return;
    };
    if span.span_context.span_id() == shown {
        html.raw("<strong>").text(&line.name).raw("</strong>");
    } else {
        html.text(&line.name);
    }
    html.raw("<td class=\"l d\">").raw(console::kind_name(&span.span_kind));
    let duration = span.end_time.duration_since(span.start_time).unwrap_or_default();
    html.raw("<td>").text(&super::document::duration(duration));
    let failed = matches!(span.status, Status::Error { .. });
    let (status, bar) = match (is_running, failed) {
        (true, _) => ("<td class=\"l r\">", "<rect class=\"r\" height=\"10\" x=\""),
        (false, true) => ("<td class=\"l f\">", "<rect class=\"f\" height=\"10\" x=\""),
        (false, false) => ("<td class=\"l\">", "<rect height=\"10\" x=\""),
    };
    html.raw(status);
    if is_running {
        html.raw("running");
    } else {
        html.text(&console::status_text(span));
    }
    html.raw("<td class=\"l b\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    html.raw(bar)
        .show(line.from)
        .raw("\" width=\"")
        .show(line.width)
        .raw("\"/></svg>\n");
}
