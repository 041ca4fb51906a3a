//! The format that a scraper asks for, by Prometheus' [rules of content
//! negotiation](https://prometheus.io/docs/instrumenting/content_negotiation/).

/// A format of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    media_type: &'static str,
    pub(crate) is_open_metrics: bool,
    /// Whether names may have any characters.
    pub(crate) is_utf8: bool,
    /// Whether the scraper named an escaping scheme.
    says_escaping: bool,
}

const TEXT: Format = Format {
    media_type: "text/plain; version=0.0.4",
    is_open_metrics: false,
    is_utf8: false,
    says_escaping: false,
};

impl Format {
    /// Returns the format with the highest quality in a header `Accept`, or text 0.0.4.
    pub(crate) fn negotiate(accept: &str) -> Self {
        let mut best = (0.0, TEXT);
        for range in accept.split(',') {
            if let Some((quality, format)) = Format::parse(range)
                && quality > best.0
            {
                best = (quality, format);
            }
        }
        best.1
    }

    /// Returns the quality and the format of one media range, or `None` if there is no such format.
    fn parse(range: &str) -> Option<(f32, Self)> {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next()?;
        let (mut version, mut escaping, mut quality) = (None, None, 1.0);
        for part in parts {
            let (name, value) = part.split_once('=')?;
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value),
                "escaping" => escaping = Some(value),
                "q" => quality = value.parse().ok()?,
                _ => {}
            }
        }
        let (media_type, is_open_metrics) = match (media_type.to_ascii_lowercase().as_str(), version) {
            ("application/openmetrics-text", None | Some("1.0.0")) => {
                ("application/openmetrics-text; version=1.0.0", true)
            }
            ("application/openmetrics-text", Some("0.0.1")) => ("application/openmetrics-text; version=0.0.1", true),
            // Version 1.0.0 is 0.0.4 with quoted names.
            ("text/plain", Some("1.0.0")) => ("text/plain; version=1.0.0", false),
            ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => (TEXT.media_type, false),
            _ => return None,
        };
        let format = Format {
            media_type,
            is_open_metrics,
            is_utf8: escaping == Some("allow-utf-8") && media_type.ends_with("1.0.0"),
            says_escaping: escaping.is_some(),
        };
        Some((quality, format))
    }

    /// Returns the value of the header `Content-Type`.
    pub(crate) fn content_type(self) -> String {
        let escaping = match (self.says_escaping, self.is_utf8) {
            (false, _) => "",
            (true, true) => "; escaping=allow-utf-8",
            (true, false) => "; escaping=underscores",
        };
        format!("{}; charset=utf-8{escaping}", self.media_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_known_format_is_chosen() {
        const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
        for (accept, expected) in [
            ("", TEXT),
            ("*/*", TEXT),
            ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
            ("application/json", TEXT),
            ("application/openmetrics-text", OPEN_METRICS),
            (
                "application/openmetrics-text;version=2.0.0;q=0.9,text/plain;q=0.1",
                TEXT,
            ),
            ("application/openmetrics-text;q=0", TEXT),
            (
                "application/openmetrics-text; version=\"1.0.0\"; charset=utf-8",
                OPEN_METRICS,
            ),
            (
                "text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.8",
                OPEN_METRICS,
            ),
            // Prometheus 2.42.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OPEN_METRICS,
            ),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            // With native histograms, protobuf comes first.
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4",
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            ),
            (
                "text/plain;version=0.0.4;escaping=allow-utf-8",
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=dots",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            ),
        ] {
            assert_eq!(Format::negotiate(accept).content_type(), expected, "{accept}");
        }
    }
}
