//! `/debug/tracez`: a row for each span name.

use opentelemetry::trace::SpanKind;

use crate::console;
use crate::text::by_number;
use crate::zpages::html::Html;
use crate::zpages::outcome::BUCKETS;
use crate::zpages::pages::document::{Frame, end};
use crate::zpages::query::Query;
use crate::zpages::registry::Registry;
use crate::zpages::row::{Counts, Row};

/// The number of rows of a page.
pub(super) const ROWS: usize = 300;

/// A row with its id and its counts.
pub(super) struct Line {
    pub(super) id: usize,
    pub(super) row: &'static Row,
    pub(super) counts: Counts,
}

/// Returns the rows that the filter selects: RPCs of the server, then of clients, then all others.
pub(super) fn lines(registry: &Registry, filter: &str) -> Vec<Line> {
    let filter = filter.to_ascii_lowercase();
    let rows = registry.rows.all().into_iter().enumerate();
    let mut lines: Vec<Line> = rows
        .map(|(id, row)| Line {
            id,
            counts: row.counts(),
            row,
        })
        .filter(|line| !line.counts.is_empty() && line.row.name.to_ascii_lowercase().contains(&filter))
        .collect();
    lines.sort_by_cached_key(|line| {
        let side = match (line.row.is_rpc, &line.row.kind) {
            (true, SpanKind::Server) => 0,
            (true, _) => 1,
            (false, _) => 2,
        };
        let kind = console::kind_name(&line.row.kind);
        (side, line.id == 0, line.row.name.clone(), kind)
    });
    lines
}

pub(in crate::zpages) fn summary(registry: &Registry, query: &Query) -> String {
    let lines = lines(registry, &query.filter);
    // Rows may have become fewer, with another filter.
    let from = query.from.min(lines.len().saturating_sub(1) / ROWS * ROWS);
    let mut address = Html::default();
    address.raw("/debug/tracez");
    if !query.filter.is_empty() || from > 0 {
        address.raw("?filter=").parameter(&query.filter);
        address.raw("&from=").show(from);
    }
    let address = address.finish();
    let frame = Frame {
        title: "Spans",
        address: &address,
        refresh: query.refresh,
    };
    let mut html = frame.begin(registry);
    html.raw("<form action=\"/debug/tracez\"><label for=\"filter\">Names with</label>");
    html.raw("<input id=\"filter\" name=\"filter\" type=\"search\" value=\"")
        .text(&query.filter);
    html.raw("\">");
    if query.refresh {
        html.raw("<input name=\"refresh\" type=\"hidden\" value=\"2\">");
    }
    html.raw("<button>Show</button></form>\n");
    if lines.is_empty() {
        html.raw("<p>No span has been recorded yet");
        if !query.filter.is_empty() {
            html.raw(" with such a name");
        }
        html.raw(".</p>\n");
    } else {
        table(&mut html, &lines, from);
        pages(&mut html, lines.len(), from, query);
    }
    let uncounted = registry.uncounted();
    if uncounted > 0 {
        html.raw("<p>").show(uncounted);
        html.raw(by_number(uncounted, " more span runs", " more spans run"));
        html.raw(", for which the memory of these pages has no room.</p>\n");
    }
    html.raw("<p class=\"d\">Recorded spans of this process since its start, as ");
    html.raw("<a href=\"/debug/tracez.json\">JSON</a> too. A number leads to the spans.</p>\n");
    end(html)
}

fn table(html: &mut Html, lines: &[Line], from: usize) {
    html.raw("<div class=\"wide k\" tabindex=\"0\" role=\"region\" aria-label=\"Spans by name\"><table>\n");
    html.raw("<caption>Spans by name: running now, ended without a failure by latency, and failed by code</caption>\n");
    html.raw("<thead><tr><th scope=\"col\" class=\"l\">Name<th scope=\"col\" class=\"l\">Kind");
    html.raw("<th scope=\"col\">Running");
    for bucket in BUCKETS {
        html.raw("<th scope=\"col\">").text(bucket);
    }
    html.raw("<th scope=\"col\" class=\"l\">Failures</thead>\n<tbody>\n");
    for line in lines.iter().skip(from).take(ROWS) {
        html.raw("<tr><th scope=\"row\">").text(&line.row.name);
        html.raw("<td class=\"l d\">").raw(console::kind_name(&line.row.kind));
        cell(html, "<td class=\"r\">", line.id, "running", line.counts.running);
        for (bucket, count) in line.counts.latencies.iter().enumerate() {
            cell(html, "<td>", line.id, &format!("latency-{bucket}"), *count);
        }
        html.raw("<td class=\"l f\">");
        for (index, (code, count)) in line.counts.failures.iter().enumerate() {
            html.raw(if index > 0 { " · " } else { "" });
            link(html, line.id, &format!("failure-{code}"));
            html.text(code).raw(" ").show(count).raw("</a>");
        }
        html.raw("\n");
    }
    html.raw("</tbody>\n</table></div>\n");
}

/// Adds a count that leads to its spans. A cell is empty if there are none.
fn cell(html: &mut Html, begin: &'static str, id: usize, show: &str, count: u64) {
    html.raw(begin);
    if count > 0 {
        link(html, id, show);
        html.show(count).raw("</a>");
    }
}

fn link(html: &mut Html, id: usize, show: &str) {
    address(html, id, show);
    html.raw("\">");
}

fn address(html: &mut Html, id: usize, show: &str) {
    html.raw("<a href=\"?row=").show(id).raw("&amp;show=").parameter(show);
}

/// Adds the counts of a row as links, on the page that `current` names.
pub(super) fn links(html: &mut Html, id: usize, counts: &Counts, current: &str) {
    let latencies = counts.latencies.iter().zip(BUCKETS).enumerate();
    let latencies = latencies.map(|(bucket, (count, name))| (format!("latency-{bucket}"), name, *count));
    let failures = counts.failures.iter();
    let failures = failures.map(|(code, count)| (format!("failure-{code}"), &**code, *count));
    html.raw("<p class=\"o\">");
    for (show, name, count) in std::iter::once(("running".to_owned(), "running", counts.running))
        .chain(latencies)
        .chain(failures)
    {
        if count > 0 || show == current {
            address(html, id, &show);
            html.raw(if show == current {
                "\" aria-current=\"page\">"
            } else {
                "\">"
            });
            html.text(name).raw(" ").show(count).raw("</a>\n");
        }
    }
    html.raw("</p>\n");
}

/// Adds the links to the other pages.
fn pages(html: &mut Html, count: usize, current: usize, query: &Query) {
    if count <= ROWS {
        return;
    }
    html.raw("<nav aria-label=\"More names\"><ul>");
    for from in (0..count).step_by(ROWS) {
        html.raw("<li>");
        if from == current {
            html.raw("<a aria-current=\"page\" href=\"?filter=");
        } else {
            html.raw("<a href=\"?filter=");
        }
        html.parameter(&query.filter).raw("&amp;from=").show(from);
        html.raw(if query.refresh { "&amp;refresh=2\">" } else { "\">" });
        html.show(from + 1)
            .raw(" – ")
            .show((from + ROWS).min(count))
            .raw("</a></li>");
    }
    html.raw("</ul></nav>\n");
}
