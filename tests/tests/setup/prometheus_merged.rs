//! Points that OpenTelemetry tells apart, and Prometheus does not, are added up.

use integration_tests::http;
use integration_tests::own_process::in_own_process;
use opentelemetry::metrics::Meter;
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};
use otel_setup::{Exporter, TranslationStrategy};

use crate::prometheus::{OPEN_METRICS, Scrape};
use crate::prometheus_formats::created;

/// Attributes that are no label, two keys that are one label, and values that are joined to one.
const SAME: [[&[(&str, &str)]; 2]; 3] = [
    [&[("tenant", "")], &[]],
    [&[("a.b", "x")], &[("a_b", "x")]],
    [&[("a.b", "x;y"), ("a_b", "z")], &[("a.b", "x"), ("a_b", "y;z")]],
];

fn attributes(pairs: &[(&'static str, &'static str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
}

#[test]
fn sums_are_added() {
    in_own_process(|| {
        let scrape = Scrape::start();
        for (row, [a, b]) in SAME.into_iter().enumerate() {
            let (a, b) = (attributes(a), attributes(b));
            let meter = global::meter("");
            let name = |kind: &str| format!("row{row}.{kind}");
            for (value, attributes) in [(2_u8, &a), (3, &b)] {
                meter.u64_counter(name("u64")).build().add(value.into(), attributes);
                let float = f64::from(value) / 4.0;
                meter.f64_counter(name("f64")).build().add(float, attributes);
                let up_down = meter.i64_up_down_counter(name("up_down")).build();
                up_down.add(1 - 3 * i64::from(value), attributes);
            }
            // The types of the numbers differ, and so do these instruments.
            meter.u64_counter(name("mixed")).build().add(2, &a);
            meter.f64_counter(name("mixed")).build().add(0.5, &b);
            meter.i64_up_down_counter(name("levels")).build().add(-7, &a);
            meter.f64_up_down_counter(name("levels")).build().add(0.25, &a);
        }
        for accept in ["", OPEN_METRICS] {
            let text = scrape.text(accept);
            for (row, labels) in ["", "{a_b=\"x\"}", "{a_b=\"x;y;z\"}"].into_iter().enumerate() {
                for (name, value) in [
                    ("u64_total", "5"),
                    ("f64_total", "1.25"),
                    ("up_down", "-13"),
                    ("mixed_total", "2.5"),
                    ("levels", "-6.75"),
                ] {
                    let line = format!("\nrow{row}_{name}{labels} {value}\n");
                    assert_eq!(text.matches(&line).count(), 1, "{line} in {text}");
                    let samples = text.matches(&format!("\nrow{row}_{name}")).count();
                    assert_eq!(samples, 1, "{name} in {text}");
                }
            }
        }
    });
}

#[test]
fn series_beside_them_stay_as_they_are() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let counter = global::meter("").u64_counter("jobs").build();
        for tenant in ["a", "", "b"] {
            counter.add(1, &[KeyValue::new("tenant", tenant)]);
        }
        counter.add(1, &[]);
        global::meter("other").u64_counter("jobs").build().add(1, &[]);
        let text = scrape.text("");
        let (_, family) = text.split_once("# TYPE jobs_total counter\n").expect(&text);
        let mut lines: Vec<_> = family.lines().take_while(|line| !line.starts_with('#')).collect();
        lines.sort_unstable();
        let expected = [
            "jobs_total 2",
            "jobs_total{otel_scope_name=\"other\"} 1",
            "jobs_total{tenant=\"a\"} 1",
            "jobs_total{tenant=\"b\"} 1",
        ];
        assert_eq!(lines, expected);
    });
}

fn histogram(meter: &Meter, bounds: &[f64], values: &[f64], attributes: &[(&'static str, &'static str)]) {
    let histogram = meter.f64_histogram("time").with_boundaries(bounds.to_vec()).build();
    for value in values {
        histogram.record(*value, &self::attributes(attributes));
    }
}

#[test]
fn histograms_are_added() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let meter = global::meter("");
        histogram(&meter, &[1.0, 2.0], &[0.5, 1.5, 5.0], &[("tenant", "")]);
        histogram(&meter, &[1.0, 2.0], &[0.5, 0.25], &[]);
        // A u64 histogram of the same name.
        let other = meter.u64_histogram("time").with_boundaries(vec![1.0, 2.0]).build();
        other.record(2, &[]);
        let expected = "# TYPE time histogram\ntime_bucket{le=\"1\"} 3\ntime_bucket{le=\"2\"} 5\n\
                        time_bucket{le=\"+Inf\"} 6\ntime_sum 9.75\ntime_count 6\n";
        let text = scrape.text("");
        assert!(text.contains(expected), "{text}");
    });
}

#[test]
fn a_sum_was_created_with_its_first_point() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let meter = global::meter("");
        let tenant = KeyValue::new("tenant", "");
        let both = meter.u64_counter("both").build();
        both.add(1, std::slice::from_ref(&tenant));
        both.add(1, &[]);
        let one = meter.u64_counter("one").build();
        one.add(1, &[tenant]);
        let first = scrape.text(OPEN_METRICS);
        one.add(1, &[]);
        // A later instrument, which starts later.
        meter.f64_counter("both").build().add(1.0, &[]);
        for _ in 0..2 {
            let text = scrape.text(OPEN_METRICS);
            for (name, value) in [("one", "2"), ("both", "3.0")] {
                assert!(text.contains(&format!("\n{name}_total {value}\n")), "{text}");
                let created = |text| created(text, &format!("{name}_created "));
                assert_eq!(created(&text), created(&first), "{text}");
                assert_eq!(text.matches(&format!("{name}_created")).count(), 1, "{text}");
            }
        }
    });
}

/// Serves histograms, those named `time` with exponential buckets.
pub(crate) fn exponential_times() -> otel_setup::Telemetry {
    otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([Exporter::Prometheus])
        .log_exporters([])
        .prometheus_address("127.0.0.1:0".parse().unwrap())
        .configure_meter_provider(|provider| {
            provider.with_view(|instrument: &Instrument| {
                let aggregation = Aggregation::Base2ExponentialHistogram {
                    max_size: 160,
                    max_scale: 20,
                    record_min_max: true,
                };
                let stream = Stream::builder().with_aggregation(aggregation).build().unwrap();
                (instrument.name() == "time").then_some(stream)
            })
        })
        .init()
        .unwrap()
}

#[test]
fn exponential_histograms_are_added_at_the_coarser_scale() {
    in_own_process(|| {
        let telemetry = exponential_times();
        let histogram = global::meter("").f64_histogram("time").build();
        let tenant = KeyValue::new("tenant", "");
        for value in [0.0, 1.5, 3.0] {
            histogram.record(value, std::slice::from_ref(&tenant));
        }
        for value in [-1.5, 8.0] {
            histogram.record(value, &[]);
        }
        let address = telemetry.prometheus_address().unwrap();
        let text = || http::get(address, "/metrics").1;
        let found = text();
        let expected = "# TYPE time histogram\ntime_bucket{le=\"-1.4142135623730951\"} 1\ntime_bucket{le=\"0\"} 2\n\
                        time_bucket{le=\"2\"} 3\ntime_bucket{le=\"2.8284271247461903\"} 3\n\
                        time_bucket{le=\"4\"} 4\ntime_bucket{le=\"5.656854249492381\"} 4\n\
                        time_bucket{le=\"8\"} 5\ntime_bucket{le=\"+Inf\"} 5\ntime_sum 11.0\ntime_count 5\n";
        assert!(found.contains(expected), "{found}");
        // The SDK needs a coarser scale for these, of 2^16.
        histogram.record(1e-300, &[]);
        histogram.record(1e300, &[]);
        // Each of these has the finest scale, at which both need 4,000 buckets.
        let row = KeyValue::new("row", "far");
        histogram.record(1e-300, &[tenant, row.clone()]);
        histogram.record(1e300, &[row]);
        let found = text();
        for line in [
            "time_bucket{le=\"-1\"} 1",
            "time_bucket{le=\"0\"} 2",
            "time_bucket{le=\"1\"} 3",
            "time_bucket{le=\"65536\"} 6",
            "time_bucket{le=\"+Inf\"} 7",
            "time_count{row=\"far\"} 2",
        ] {
            assert_eq!(
                found.lines().filter(|found| *found == line).count(),
                1,
                "{line} in {found}"
            );
        }
        let buckets = found.lines().filter(|line| line.starts_with("time_bucket{row=\"far\""));
        assert_eq!(buckets.count(), 127, "{found}");
    });
}

#[test]
fn histograms_with_other_boundaries_keep_those_that_both_have() {
    let output = in_own_process(|| {
        let scrape = Scrape::start();
        let meter = global::meter("");
        histogram(&meter, &[1.0, 2.0, 4.0], &[0.5, 1.5, 3.0, 5.0], &[("tenant", "")]);
        let other = meter.u64_histogram("time").with_boundaries(vec![2.0, 3.0]).build();
        other.record(2, &[]);
        other.record(9, &[]);
        let expected = "# TYPE time histogram\ntime_bucket{le=\"2\"} 3\ntime_bucket{le=\"+Inf\"} 6\n\
                        time_sum 21.0\ntime_count 6\n";
        for _ in 0..2 {
            let text = scrape.text("");
            assert!(text.contains(expected), "{text}");
        }
    });
    let Some(output) = output else { return };
    let warning = "two series of the metric time have the same labels in Prometheus and different boundaries; \
                   using those that both have (logged once)";
    assert_eq!(output.stdout.matches(warning).count(), 1, "{output:?}");
}

#[test]
fn gauges_and_other_units_are_not_added() {
    let output = in_own_process(|| {
        let scrape = Scrape::with(TranslationStrategy::UnderscoreEscapingWithoutSuffixes);
        let meter = global::meter("");
        meter.u64_gauge("gauge").build().record(2, &[]);
        meter
            .u64_gauge("gauge")
            .build()
            .record(3, &[KeyValue::new("tenant", "")]);
        meter.i64_up_down_counter("level").build().add(2, &[]);
        meter.u64_gauge("level").build().record(3, &[]);
        meter.u64_counter("time").with_unit("s").build().add(2, &[]);
        meter.u64_counter("time").with_unit("ms").build().add(3, &[]);
        // Another unit is none.
        meter.u64_counter("calls").with_unit("{call}").build().add(2, &[]);
        meter.u64_counter("calls").build().add(3, &[]);
        for _ in 0..2 {
            let text = scrape.text("");
            for name in ["gauge", "level", "time"] {
                let values = [2, 3].map(|value| text.matches(&format!("\n{name} {value}\n")).count());
                assert_eq!(values.iter().sum::<usize>(), 1, "{text}");
            }
            assert!(text.contains("\ncalls 5\n"), "{text}");
        }
    });
    let Some(output) = output else { return };
    for name in ["gauge", "level", "time"] {
        let warning =
            format!("two series of the metric {name} have the same labels in Prometheus; dropping one (logged once)");
        assert_eq!(output.stdout.matches(&warning).count(), 1, "{output:?}");
    }
    assert_eq!(output.stdout.matches("the metric calls").count(), 0, "{output:?}");
    let warning =
        "the metric time has series in seconds and in milliseconds; give one of them another name (logged once)";
    assert_eq!(output.stdout.matches(warning).count(), 1, "{output:?}");
}
