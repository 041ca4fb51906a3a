//! Names of metrics in OpenTelemetry, and what they are in Prometheus.
//!
//! The names follow from the clauses "Metric Metadata" and "Sums" of the specification "Prometheus
//! and OpenMetrics Compatibility". `peers/` compares them with those of Prometheus' OTLP receiver.

use opentelemetry::metrics::Meter;

/// A name and a unit in OpenTelemetry, and the names of a counter, an up-down counter, a gauge and
/// a histogram in Prometheus. `{n}` is a number, so that all names are different.
pub type Row = (&'static str, &'static str, [&'static str; 4]);

/// The names of 27 × 4 metrics.
#[rustfmt::skip]
pub const NAMES: [Row; 27] = [
    // The unit is a suffix: in words if the specification has words for it.
    ("load.n{n}", "",          ["load_n{n}_total",                  "load_n{n}",                  "load_n{n}",                  "load_n{n}"]),
    ("load.n{n}", "s",         ["load_n{n}_seconds_total",          "load_n{n}_seconds",          "load_n{n}_seconds",          "load_n{n}_seconds"]),
    ("load.n{n}", "ms",        ["load_n{n}_milliseconds_total",     "load_n{n}_milliseconds",     "load_n{n}_milliseconds",     "load_n{n}_milliseconds"]),
    ("load.n{n}", "By",        ["load_n{n}_bytes_total",            "load_n{n}_bytes",            "load_n{n}_bytes",            "load_n{n}_bytes"]),
    ("load.n{n}", "%",         ["load_n{n}_percent_total",          "load_n{n}_percent",          "load_n{n}_percent",          "load_n{n}_percent"]),
    ("load.n{n}", "1",         ["load_n{n}_total",                  "load_n{n}",                  "load_n{n}_ratio",            "load_n{n}"]),
    ("load.n{n}", "{request}", ["load_n{n}_total",                  "load_n{n}",                  "load_n{n}",                  "load_n{n}"]),
    ("load.n{n}", "EUR",       ["load_n{n}_EUR_total",              "load_n{n}_EUR",              "load_n{n}_EUR",              "load_n{n}_EUR"]),
    ("load.n{n}", "By/s",      ["load_n{n}_bytes_per_second_total", "load_n{n}_bytes_per_second", "load_n{n}_bytes_per_second", "load_n{n}_bytes_per_second"]),
    // The name ends with the unit.
    ("n{n}.seconds", "",              ["n{n}_seconds_total",          "n{n}_seconds",          "n{n}_seconds",          "n{n}_seconds"]),
    ("n{n}.seconds", "s",             ["n{n}_seconds_total",          "n{n}_seconds",          "n{n}_seconds",          "n{n}_seconds"]),
    ("n{n}_milliseconds", "ms",       ["n{n}_milliseconds_total",     "n{n}_milliseconds",     "n{n}_milliseconds",     "n{n}_milliseconds"]),
    ("n{n}-bytes", "By",              ["n{n}_bytes_total",            "n{n}_bytes",            "n{n}_bytes",            "n{n}_bytes"]),
    ("n{n}.percent", "%",             ["n{n}_percent_total",          "n{n}_percent",          "n{n}_percent",          "n{n}_percent"]),
    ("n{n}.ratio", "1",               ["n{n}_ratio_total",            "n{n}_ratio",            "n{n}_ratio",            "n{n}_ratio"]),
    ("n{n}.request", "{request}",     ["n{n}_request_total",          "n{n}_request",          "n{n}_request",          "n{n}_request"]),
    ("n{n}.EUR", "EUR",               ["n{n}_EUR_total",              "n{n}_EUR",              "n{n}_EUR",              "n{n}_EUR"]),
    ("n{n}.bytes", "By/s",            ["n{n}_bytes_per_second_total", "n{n}_bytes_per_second", "n{n}_bytes_per_second", "n{n}_bytes_per_second"]),
    // The name ends with the suffix of a counter.
    ("n{n}.total", "",          ["n{n}_total",                  "n{n}_total",                  "n{n}_total",                  "n{n}_total"]),
    ("n{n}.total", "s",         ["n{n}_seconds_total",          "n{n}_total_seconds",          "n{n}_total_seconds",          "n{n}_total_seconds"]),
    ("n{n}__total", "ms",       ["n{n}_milliseconds_total",     "n{n}_total_milliseconds",     "n{n}_total_milliseconds",     "n{n}_total_milliseconds"]),
    ("n{n}/total", "By",        ["n{n}_bytes_total",            "n{n}_total_bytes",            "n{n}_total_bytes",            "n{n}_total_bytes"]),
    ("n{n}.total", "%",         ["n{n}_percent_total",          "n{n}_total_percent",          "n{n}_total_percent",          "n{n}_total_percent"]),
    ("n{n}.total", "1",         ["n{n}_total",                  "n{n}_total",                  "n{n}_total_ratio",            "n{n}_total"]),
    ("n{n}.total", "{request}", ["n{n}_total",                  "n{n}_total",                  "n{n}_total",                  "n{n}_total"]),
    ("n{n}.total", "EUR",       ["n{n}_EUR_total",              "n{n}_total_EUR",              "n{n}_total_EUR",              "n{n}_total_EUR"]),
    ("n{n}.total", "By/s",      ["n{n}_bytes_per_second_total", "n{n}_total_bytes_per_second", "n{n}_total_bytes_per_second", "n{n}_total_bytes_per_second"]),
];

/// The types that Prometheus gives to the columns.
const TYPES: [&str; 4] = ["counter", "gauge", "gauge", "histogram"];

/// Records one value with each metric, and returns their names and types in Prometheus, sorted.
#[must_use]
pub fn record_all(meter: &Meter) -> Vec<(String, &'static str)> {
    let mut expected = Vec::new();
    for (row, (name, unit, names)) in NAMES.iter().enumerate() {
        for (column, prometheus) in names.iter().enumerate() {
            let number = (row * 4 + column).to_string();
            let name = name.replace("{n}", &number);
            match column {
                0 => meter.u64_counter(name).with_unit(*unit).build().add(1, &[]),
                1 => meter.i64_up_down_counter(name).with_unit(*unit).build().add(1, &[]),
                2 => meter.f64_gauge(name).with_unit(*unit).build().record(1.0, &[]),
                _ => meter.f64_histogram(name).with_unit(*unit).build().record(1.0, &[]),
            }
            expected.push((prometheus.replace("{n}", &number), TYPES[column]));
        }
    }
    expected.sort();
    expected
}
