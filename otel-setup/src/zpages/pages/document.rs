//! The frame of every page.

use std::time::Duration;

use crate::zpages::html::Html;

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
    /// Begins a page.
    pub(super) fn begin(&self) -> Html {
        let mut html = Html::default();
        html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        if self.refresh {
            html.raw("<meta http-equiv=\"refresh\" content=\"2\">\n");
        }
        html.raw("<title>").text(self.title).raw("</title>\n<style>").raw(STYLE);
        html.raw("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n");
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
        html.raw("</ul></nav>\n<main id=\"main\">\n<h1>")
            .text(self.title)
            .raw("</h1>\n");
        html
    }
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
}
