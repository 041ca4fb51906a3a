//! The exact text of tables.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, Instrument, PeriodicReader, SdkMeterProvider, Stream,
};

use super::metrics_table;

/// Checks the table of the measurements of `measure`. The expected text may begin with a line
/// break.
fn assert_draws(measure: impl FnOnce(&Meter), expected: &str) {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let exponential = |instrument: &Instrument| {
        let aggregation = Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 20,
            record_min_max: true,
        };
        (instrument.name() == "exponential").then(|| Stream::builder().with_aggregation(aggregation).build().unwrap())
    };
    let provider = SdkMeterProvider::builder()
        .with_reader(reader)
        .with_view(exponential)
        .build();
    measure(&provider.meter("test"));
    provider.force_flush().unwrap();
    let metrics = exporter.get_finished_metrics().unwrap().pop();
    let drawn = metrics_table(&metrics.unwrap_or_default());
    assert_eq!(drawn, expected.trim_start_matches('\n'), "drawn:\n{drawn}");
}

fn attributes(method: &'static str, code: &'static str, error: Option<&'static str>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("rpc.system.name", "grpc"),
        KeyValue::new("rpc.method", method),
        KeyValue::new("rpc.status_code", code),
    ];
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    attributes
}

#[test]
fn no_metrics_are_no_text() {
    assert_draws(|_| {}, "");
}

#[test]
fn a_histogram_has_one_row_per_attribute_set() {
    assert_draws(
        |meter| {
            let histogram = meter
                .f64_histogram("rpc.server.call.duration")
                .with_unit("s")
                .with_description("How long they took.")
                .build();
            histogram.record(0.25, &attributes("a.B/D", "INTERNAL", Some("INTERNAL")));
            histogram.record(0.004, &attributes("a.B/C", "OK", None));
            histogram.record(0.002, &attributes("a.B/C", "OK", None));
            histogram.record(1.5, &attributes("a.B/C", "NOT_FOUND", None));
        },
        "
rpc.server.call.duration: How long they took.
 rpc.method   rpc.status_code   error.type   count      mean       max
───────────────────────────────────────────────────────────────────────
 a.B/C        NOT_FOUND                          1      1.5s      1.5s
 a.B/C        OK                                 2     3.0ms     4.0ms
 a.B/D        INTERNAL          INTERNAL         1   250.0ms   250.0ms
",
    );
}

#[test]
fn sums_and_gauges_have_one_value() {
    assert_draws(
        |meter| {
            let active = meter.i64_up_down_counter("active").with_description("Now.").build();
            active.add(2, &[KeyValue::new("rpc.method", "a.B/C"), KeyValue::new("net", "tcp")]);
            active.add(-1, &[KeyValue::new("rpc.method", "a.B/C"), KeyValue::new("net", "tcp")]);
            let load = meter.f64_gauge("load").with_description("Now, too.").build();
            load.record(0.5, &[]);
        },
        "
active: Now.
 rpc.method   net   now
────────────────────────
 a.B/C        tcp     1

load: Now, too.
 now
─────
 0.5
",
    );
}

#[test]
fn an_exponential_histogram_looks_like_a_histogram() {
    assert_draws(
        |meter| {
            let histogram = meter.u64_histogram("exponential").build();
            histogram.record(1, &[]);
            histogram.record(4, &[]);
        },
        "
exponential
 count   mean   max
────────────────────
     2    2.5     4
",
    );
}

#[test]
fn control_characters_are_escaped() {
    assert_draws(
        |meter| {
            let counter = meter.u64_counter("c").with_description("a\nb").build();
            counter.add(1, &[KeyValue::new("k\x1b", "v\n\x1b[2J")]);
        },
        "
c: a\\nb
 k\\u{1b}        now
────────────────────
 v\\n\\u{1b}[2J     1
",
    );
}
