//! The frame of every page.

use std::time::{Duration, SystemTime};

use crate::text::time;
use crate::zpages::html::Html;
use crate::zpages::registry::Registry;

/// The style sheet. The header `Content-Security-Policy` allows it by its hash.
pub(in crate::zpages) const STYLE: &str = include_str!("../style.css");

/// The frame of a page.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// The path of the page with its parameters, without `refresh`.
    pub(super) address: &'a str,
    pub(super) refresh: bool,
}

impl Frame<'_> {
    /// Begins a page about a process.
    pub(super) fn begin(&self, registry: &Registry) -> Html {
        let mut html = Html::default();
        html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        if self.refresh {
            html.raw("<meta http-equiv=\"refresh\" content=\"2\">\n");
        }
        html.raw("<title>").text(self.title);
        if let Some(service) = registry.service() {
            html.raw(" · ").text(service);
        }
        html.raw("</title>\n<style>").raw(STYLE);
        html.raw("</style>\n</head>\n");
        // A browser that reloads keeps the place on the page, and not that in a part of it.
        html.raw(if self.refresh {
            "<body class=\"live\">\n"
        } else {
            "<body>\n"
        });
        html.raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>\n");
        html.raw("<nav aria-label=\"Pages\"><ul>");
        html.raw("<li><a href=\"/debug/tracez\">Spans</a></li><li><a href=\"/debug/rpcz\">RPCs</a></li>");
        let separator = if self.address.contains('?') { "&" } else { "?" };
        html.raw("<li><a href=\"").text(self.address);
        if self.refresh {
            html.raw("\">Stop reloading</a></li>");
        } else {
            html.text(separator);
            html.raw("refresh=2\">Reload every 2 seconds</a></li>");
        }
        html.raw("</ul></nav>\n");
        about(&mut html, registry);
        html.raw("<main id=\"main\">\n<h1>").text(self.title).raw("</h1>\n");
        html
    }
}

/// Says which process the page is about, and when it was drawn.
fn about(html: &mut Html, registry: &Registry) {
    html.raw("<p class=\"d\">");
    if let Some(service) = registry.service() {
        html.raw("<strong>").text(service).raw("</strong>, process ");
    } else {
        html.raw("Process ");
    }
    html.show(std::process::id()).raw(", up ");
    html.text(&duration(registry.started.elapsed().unwrap_or_default()));
    if let Some(now) = time(SystemTime::now()) {
        // Without microseconds.
        html.raw(", at ")
            .text(now.split('.').next().unwrap_or_default())
            .raw("Z");
    }
    html.raw("</p>\n");
}

/// Ends a page.
pub(super) fn end(mut html: Html) -> String {
    html.raw("</main>\n</body>\n</html>\n");
    html.finish()
}

/// Formats an age or a duration for people, with two units above a minute.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{duration:.1?}"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Formats an estimated duration for people, with two or three digits.
pub(super) fn estimate(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (value, unit) = match seconds {
        ..0.001 => (seconds * 1e6, "µs"),
        0.001..1.0 => (seconds * 1e3, "ms"),
        1.0..60.0 => (seconds, "s"),
        _ => return self::duration(duration),
    };
    let decimals = usize::from(value < 10.0);
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_above_a_minute() {
        for (seconds, expected) in [
            (0.001_25, "1.2ms"),
            (59.0, "59.0s"),
            (61.0, "1m 01s"),
            (3_725.0, "1h 02m"),
            (100_000.0, "1d 03h"),
        ] {
            assert_eq!(duration(Duration::from_secs_f64(seconds)), expected);
        }
    }

    #[test]
    fn estimates_have_two_or_three_digits() {
        for (seconds, expected) in [
            (0.0, "0.0µs"),
            (0.000_25, "250µs"),
            (0.002_88, "2.9ms"),
            (0.238_4, "238ms"),
            (7.5, "7.5s"),
            (61.0, "1m 01s"),
        ] {
            assert_eq!(estimate(Duration::from_secs_f64(seconds)), expected);
        }
    }
}
