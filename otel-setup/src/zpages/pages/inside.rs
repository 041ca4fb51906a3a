//! The attributes, events and links of a span, and the log lines inside.

use opentelemetry::KeyValue;
use opentelemetry::logs::Severity;
use opentelemetry_sdk::trace::SpanData;

use crate::text::{by_number, time};
use crate::zpages::html::Html;
use crate::zpages::log_line::LogLine;
use crate::zpages::pages::document::duration;

/// Says how many items are not on the page. `one` and `others` go on with the number.
pub(super) fn missing(html: &mut Html, count: u64, one: &'static str, others: &'static str) {
    if count > 0 {
        html.raw("<p class=\"d\">")
            .show(count)
            .raw(by_number(count, one, others));
        html.raw("</p>\n");
    }
}

/// Adds the log lines of a trace. Earlier ones are not kept, and others not shown.
pub(super) fn logs(html: &mut Html, lines: &[LogLine], not_kept: u64, not_shown: u64) {
    if lines.is_empty() && not_kept == 0 {
        return;
    }
    html.raw("<h3>Log lines</h3>\n");
    missing(
        html,
        not_kept,
        " earlier line is not kept.",
        " earlier lines are not kept.",
    );
    missing(
        html,
        not_shown,
        " earlier line of another span is not shown.",
        " earlier lines of other spans are not shown.",
    );
    html.raw("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Log lines\"><table>\n");
    html.raw("<caption>Log lines of the trace, the oldest first</caption>\n<thead><tr>");
    html.raw("<th scope=\"col\" class=\"l\">Time<th scope=\"col\" class=\"l\">Level");
    html.raw("<th scope=\"col\" class=\"l\">Source<th scope=\"col\" class=\"l\">Message</thead>\n<tbody>\n");
    for line in lines {
        log(html, line);
    }
    html.raw("</tbody>\n</table></div>\n");
}

fn log(html: &mut Html, line: &LogLine) {
    html.raw("<tr><td class=\"l d t\">");
    html.text(time(line.time).as_deref().unwrap_or_default());
    html.raw(match line.severity {
        Some(severity) if severity >= Severity::Error => "<td class=\"l f\">",
        Some(severity) if severity >= Severity::Warn => "<td class=\"l w\">",
        _ => "<td class=\"l\">",
    });
    html.text(line.severity.as_ref().map_or("", Severity::name));
    html.raw("<td class=\"l d m\">").text(&line.source);
    html.raw("<td class=\"l m\">").text(&line.text).raw("\n");
}

pub(super) fn attributes(html: &mut Html, caption: &'static str, attributes: &[KeyValue], dropped: u32) {
    if attributes.is_empty() {
        missing(
            html,
            dropped.into(),
            " attribute is not kept.",
            " attributes are not kept.",
        );
        return;
    }
    html.raw("<table class=\"a\">\n<caption>")
        .raw(caption)
        .raw("</caption>\n<thead><tr>");
    html.raw("<th scope=\"col\" class=\"l\">Name<th scope=\"col\" class=\"l\">Value</thead>\n<tbody>\n");
    for attribute in attributes {
        html.raw("<tr><th scope=\"row\">").text(attribute.key.as_str());
        html.raw("<td class=\"l m\">").text(&attribute.value.as_str()).raw("\n");
    }
    html.raw("</tbody>\n</table>\n");
    missing(
        html,
        dropped.into(),
        " more attribute is not kept.",
        " more attributes are not kept.",
    );
}

pub(super) fn events(html: &mut Html, span: &SpanData) {
    for event in span.events.iter() {
        html.raw("<h3>Event ")
            .text(&event.name)
            .raw("</h3>\n<p class=\"d\">After ");
        let after = event.timestamp.duration_since(span.start_time).unwrap_or_default();
        html.text(&duration(after)).raw("</p>\n");
        let dropped = event.dropped_attributes_count;
        attributes(html, "Attributes of the event", &event.attributes, dropped);
    }
    missing(
        html,
        span.events.dropped_count.into(),
        " more event is not kept.",
        " more events are not kept.",
    );
}

pub(super) fn links(html: &mut Html, span: &SpanData) {
    for link in span.links.iter() {
        let linked = &link.span_context;
        html.raw("<h3>Link to another trace</h3>\n<p class=\"d\">Trace <span class=\"m\">")
            .show(linked.trace_id());
        html.raw("</span>, span <span class=\"m\">")
            .show(linked.span_id())
            .raw("</span></p>\n");
        attributes(
            html,
            "Attributes of the link",
            &link.attributes,
            link.dropped_attributes_count,
        );
    }
    missing(
        html,
        span.links.dropped_count.into(),
        " more link is not kept.",
        " more links are not kept.",
    );
}
