//! The names of metrics, units and labels: the rules of [Prometheus and OpenMetrics
//! Compatibility](https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/).
//!
//! Each function names the clause of the section "OTLP Metric points to Prometheus" that it
//! follows. If Prometheus' OTLP receiver and the Collector agree on a name that the clause leaves
//! open (a SHOULD), theirs is used: the same queries then fit a scrape, OTLP and the Collector.
//! `tests/tests/setup/prometheus_names.rs` lists names of every kind.

use std::borrow::Cow;

use crate::prometheus::kind::Kind;

/// How names of OpenTelemetry become names of Prometheus.
///
/// The specification of the [Prometheus
/// exporter](https://opentelemetry.io/docs/specs/otel/metrics/sdk_exporters/prometheus/#translation-strategy)
/// defines the strategies. Prometheus has the same for OTLP, as `otlp.translation_strategy`. A
/// scraper that does not ask for `escaping=allow-utf-8` gets names with underscores from each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TranslationStrategy {
    /// `rpc.server.call.duration` in `s` is `rpc_server_call_duration_seconds`. The default.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// `rpc.server.call.duration` in `s` is `rpc_server_call_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// `rpc.server.call.duration` in `s` is `rpc.server.call.duration_seconds`.
    NoUtf8EscapingWithSuffixes,
    /// `rpc.server.call.duration` in `s` is `rpc.server.call.duration`.
    NoTranslation,
}

impl TranslationStrategy {
    pub(crate) fn escapes(self) -> bool {
        matches!(
            self,
            Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes
        )
    }

    fn has_suffixes(self) -> bool {
        matches!(
            self,
            Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes
        )
    }
}

/// The unit `1`, of ratios.
const RATIO: &str = "1";

/// Returns the name of a metric, or `None` if nothing of it is left.
///
/// Clause "Metric Metadata", on the name and the unit, and "Sums", on `_total`.
pub(crate) fn metric_name(name: &str, unit: &str, kind: Kind, strategy: TranslationStrategy) -> Option<String> {
    let name = match (strategy.escapes(), strategy.has_suffixes()) {
        (true, true) => escaped_with_suffixes(name, unit, kind),
        (true, false) => after_digit_check(words(name).collect::<Vec<_>>().join("_")),
        (false, true) => with_suffixes(name, unit, kind),
        (false, false) => name.to_owned(),
    };
    name.chars().any(|c| c != '_').then_some(name)
}

/// Returns the unit for the metadata `UNIT`, in words: `bytes_per_second`.
///
/// Clause "Metric Metadata": "The resulting unit SHOULD be added to the metric as UNIT metadata".
pub(crate) fn unit_words(unit: &str, kind: Kind) -> String {
    if unit == RATIO && kind == Kind::Gauge {
        return "ratio".to_owned();
    }
    let (main, per) = unit_suffixes(unit);
    let words = [main, per];
    let words: Vec<&str> = words.iter().map(Cow::as_ref).filter(|word| !word.is_empty()).collect();
    words.join("_")
}

/// Appends a label's name: the key of an attribute, escaped.
///
/// Clause "Metric Attributes": "Discouraged characters SHOULD be replaced with the `_` character.
/// Multiple consecutive `_` characters SHOULD be replaced with a single `_` character." A leading
/// digit gets the prefix `key_`, as Prometheus and the Collector prepend it.
pub(crate) fn push_label_name(label: &mut String, key: &str) {
    if key.starts_with(|c: char| c.is_ascii_digit()) {
        label.push_str("key_");
    }
    let mut after_underscore = false;
    for c in key.chars() {
        if c.is_ascii_alphanumeric() {
            label.push(c);
        } else if !after_underscore {
            label.push('_');
        }
        after_underscore = !c.is_ascii_alphanumeric();
    }
    if key.is_empty() {
        label.push('_');
    }
}

/// Escapes a name for a scraper that knows no UTF-8 names, by the [escaping
/// scheme](https://prometheus.io/docs/instrumenting/escaping_schemes/) `underscores`.
pub(crate) fn underscores(name: &str) -> String {
    let escape = |c: char| if is_word(c) || c == '_' { c } else { '_' };
    after_digit_check(name.chars().map(escape).collect())
}

/// Returns whether a metric's name needs no quotes.
pub(crate) fn is_plain_metric(name: &str) -> bool {
    name.chars().all(|c| is_word(c) || c == '_') && !starts_with_digit(name) && !name.is_empty()
}

/// Returns whether a label's name needs no quotes.
pub(crate) fn is_plain_label(name: &str) -> bool {
    is_plain_metric(name) && !name.contains(':')
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// Clause "Metric Metadata": discouraged characters and multiple underscores become one
/// underscore.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// The unit is left out if the name contains its word already, and the suffix of a kind moves to
/// the end: `x.total.sent` in `By` is `x_sent_bytes_total`.
///
/// The clause requires less, that the name ends with them. Prometheus and the Collector do this.
fn escaped_with_suffixes(name: &str, unit: &str, kind: Kind) -> String {
    let mut found: Vec<&str> = words(name).collect();
    let (main, per) = unit_suffixes(unit);
    for word in [&main, &per] {
        if !word.is_empty() && !found.contains(&word.as_ref()) {
            found.push(word);
        }
    }
    if let Some(suffix) = kind_suffix(unit, kind) {
        found.retain(|word| *word != suffix);
        found.push(suffix);
    }
    after_digit_check(found.join("_"))
}

/// Returns the name with its suffixes, and otherwise unchanged.
fn with_suffixes(name: &str, unit: &str, kind: Kind) -> String {
    let (main, per) = unit_suffixes(unit);
    let suffix = kind_suffix(unit, kind).unwrap_or_default();
    let mut name = without_suffix(without_suffix(name, suffix), &per).to_owned();
    if !main.is_empty() && name.ends_with(main.as_ref()) {
        append(&mut name, &per);
    } else {
        append(&mut name, &main);
        append(&mut name, &per);
    }
    append(&mut name, suffix);
    name
}

fn append(name: &mut String, word: &str) {
    if !word.is_empty() {
        name.push('_');
        name.push_str(word);
    }
}

/// Removes a suffix and the character in front of it.
fn without_suffix<'n>(name: &'n str, suffix: &str) -> &'n str {
    let rest = name.strip_suffix(suffix).filter(|_| !suffix.is_empty());
    let mut rest = rest.unwrap_or(name).chars();
    if rest.as_str().len() < name.len() {
        rest.next_back();
    }
    if rest.as_str().is_empty() { name } else { rest.as_str() }
}

/// Clause "Sums": "If the metric name for monotonic Sum metric points does not end in a suffix of
/// `_total` a suffix of `_total` SHOULD be added by default". A gauge with the unit `1` is a ratio;
/// counters and histograms with it are not.
fn kind_suffix(unit: &str, kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Counter => Some("total"),
        Kind::Gauge if unit == RATIO => Some("ratio"),
        Kind::Gauge | Kind::UpDownCounter | Kind::Histogram => None,
    }
}

/// Returns the words of a unit, and of what it is per.
///
/// Clause "Metric Metadata": "The Unit of an OTLP metric point MUST be converted from the UCUM unit
/// to the equivalent unit word in Prometheus if it is included in the table", "Portions of the Unit
/// within brackets (e.g. {packet}) MUST be dropped", and "Units defined as rates over time (e.g.
/// "m/s") MUST be converted to words". Other units stay as they are.
fn unit_suffixes(unit: &str) -> (Cow<'_, str>, Cow<'_, str>) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let main = known(main, main_word);
    let per = match known(per, per_word) {
        per if per.is_empty() => per,
        per => Cow::Owned(format!("per_{per}")),
    };
    (main, per)
}

fn known(unit: &str, word: fn(&str) -> Option<&'static str>) -> Cow<'_, str> {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return Cow::Borrowed("");
    }
    match word(unit) {
        Some(word) => Cow::Borrowed(word),
        None => Cow::Owned(words(unit).collect::<Vec<_>>().join("_")),
    }
}

/// The table of the clause "Metric Metadata". Prometheus adds `KBy` to it.
fn main_word(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tebibytes",
        "kBy" | "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        RATIO => "",
        _ => return None,
    })
}

fn per_word(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}

fn after_digit_check(name: String) -> String {
    if starts_with_digit(&name) {
        format!("_{name}")
    } else {
        name
    }
}

fn starts_with_digit(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_digit())
}
