//! `/debug/rpcz`: the durations of RPCs by method.

use std::time::Duration;

use crate::text::by_number;
use crate::zpages::html::Html;
use crate::zpages::pages::document::{Frame, duration, end, estimate};
use crate::zpages::query::Query;
use crate::zpages::registry::Registry;
use crate::zpages::rpcz::{Line, Report, Stats, WINDOWS};

/// The number of methods of a page, those with most RPCs in the last hour.
const METHODS: usize = 200;

pub(in crate::zpages) fn rpcz(registry: &Registry, report: &Report, query: &Query) -> String {
    let frame = Frame {
        title: "RPCs",
        address: "/debug/rpcz",
        refresh: query.refresh,
    };
    let mut html = frame.begin(registry);
    for (is_client, heading, caption) in [
        (false, "Server", "RPCs that this process has served"),
        (true, "Client", "RPCs that this process has called"),
    ] {
        let lines: Vec<&Line> = report
            .lines
            .iter()
            .filter(|line| line.method.is_client == is_client)
            .collect();
        if !lines.is_empty() {
            html.raw("<h2>").raw(heading).raw("</h2>\n");
            table(&mut html, caption, lines);
        }
    }
    if report.lines.is_empty() {
        html.raw("<p>No RPC has ended yet, or their durations are not measured.</p>\n");
    }
    if report.left_out > 0 {
        html.raw("<p>").show(report.left_out);
        html.raw(by_number(
            report.left_out as u64,
            " more method has",
            " more methods have",
        ));
        html.raw(" no room in the memory of these pages.</p>\n");
    }
    html.raw("<p class=\"d\">All RPCs that ended, sampled or not, from <code>rpc.server.call.duration</code> and ");
    html.raw("<code>rpc.client.call.duration</code>. Quantiles are estimated from the histogram’s buckets; those ");
    html.raw("above its last boundary count as that boundary.</p>\n");
    end(html)
}

fn table(html: &mut Html, caption: &'static str, mut lines: Vec<&Line>) {
    let count = lines.len();
    if count > METHODS {
        lines.sort_by_key(|line| std::cmp::Reverse(line.stats[WINDOWS.len() - 1].count));
        lines.truncate(METHODS);
    }
    html.raw("<div class=\"wide k q\" tabindex=\"0\" role=\"region\" aria-label=\"")
        .raw(caption);
    html.raw("\"><table>\n<caption>").raw(caption);
    html.raw("</caption>\n<colgroup></colgroup>");
    for _ in WINDOWS {
        html.raw("<colgroup span=\"6\"></colgroup>");
    }
    html.raw("\n<thead><tr><th scope=\"col\" rowspan=\"2\" class=\"l\">Method");
    for (index, (name, _)) in WINDOWS.iter().enumerate() {
        html.raw("<th scope=\"colgroup\" colspan=\"6\">Last ").raw(name);
        if let Some(line) = lines.first() {
            html.raw(" <span class=\"d\">(")
                .text(&duration(line.stats[index].reach))
                .raw(")</span>");
        }
    }
    html.raw("\n<tr>");
    for _ in WINDOWS {
        for heading in ["Count", "Failed", "Rate/s", "p50", "p90", "p99"] {
            html.raw("<th scope=\"col\">").raw(heading);
        }
    }
    html.raw("</thead>\n<tbody>\n");
    for line in &lines {
        html.raw("<tr><th scope=\"row\">").text(&line.method.name);
        for stats in &line.stats {
            cells(html, stats);
        }
        html.raw("\n");
    }
    html.raw("</tbody>\n</table></div>\n");
    if count > lines.len() {
        html.raw("<p>The ").show(lines.len()).raw(" of ").show(count);
        html.raw(" methods with most RPCs.</p>\n");
    }
}

fn cells(html: &mut Html, stats: &Stats) {
    if stats.count == 0 {
        html.raw("<td class=\"d\">0<td><td><td><td><td>");
        return;
    }
    html.raw("<td>").show(stats.count).raw("<td class=\"f\">");
    if stats.failures > 0 {
        html.show(stats.failures);
    }
    let decimals = if stats.rate < 100.0 { 2 } else { 0 };
    html.raw("<td>").show(format_args!("{:.decimals$}", stats.rate));
    for quantile in stats.quantiles {
        html.raw("<td>");
        if let Some(seconds) = quantile {
            // The boundaries of a histogram may be any numbers.
            let duration = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
            html.text(&estimate(duration));
        }
    }
}
