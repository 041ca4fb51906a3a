//! The parameters of a request.

use std::num::NonZero;

use percent_encoding::percent_decode_str;

/// The parameters of `/debug/tracez`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Whether the page loads itself again.
    pub(super) refresh: bool,
    /// A part of the names to show.
    pub(super) filter: String,
    /// The number of the first row.
    pub(super) from: usize,
    /// The number of rows, if it is not the default. With none, `next_from` would lead nowhere.
    pub(super) limit: Option<NonZero<usize>>,
    /// The id of a row.
    pub(super) row: Option<usize>,
    /// `running`, the index of a latency bucket, or a code.
    pub(super) show: String,
}

impl Query {
    /// Reads the parameters. Unknown and invalid ones are ignored.
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Query::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8_lossy();
            match name {
                "refresh" => parsed.refresh = value != "0",
                "filter" => value.trim().clone_into(&mut parsed.filter),
                "from" => parsed.from = value.parse().unwrap_or_default(),
                "limit" => parsed.limit = value.parse().ok(),
                "row" => parsed.row = value.parse().ok(),
                "show" => parsed.show = value.into_owned(),
                _ => {}
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_unknown_ones_ignored() {
        for (query, expected) in [
            ("", Query::default()),
            (
                "row=12&show=NOT%5FFOUND&refresh=2",
                Query {
                    row: Some(12),
                    show: "NOT_FOUND".to_owned(),
                    refresh: true,
                    ..Query::default()
                },
            ),
            (
                "filter=+a%20b%26+c&from=300&limit=7&x=y",
                Query {
                    filter: "a b& c".to_owned(),
                    from: 300,
                    limit: NonZero::new(7),
                    ..Query::default()
                },
            ),
            ("row=-1&from=many&limit=all&refresh=0&&=", Query::default()),
            ("limit=0", Query::default()),
        ] {
            assert_eq!(Query::parse(query), expected, "{query}");
        }
    }
}
