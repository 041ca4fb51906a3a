//! The formats of a scrape: text 0.0.4, OpenMetrics with what it adds, and gzip.

use std::io::Read;
use std::time::{Duration, SystemTime};

use flate2::read::GzDecoder;
use integration_tests::http;
use integration_tests::own_process::in_own_process;
use opentelemetry::{KeyValue, global};

use crate::prometheus::{OPEN_METRICS, Scrape, UTF_8};
use crate::prometheus_merged::exponential_times;

#[test]
fn a_scraper_gets_the_format_that_it_asks_for() {
    in_own_process(|| {
        let scrape = Scrape::start();
        global::meter("m")
            .u64_counter("jobs")
            .with_description("A \"job\"\\.\n")
            .build()
            .add(1, &[]);
        let text =
            "# HELP jobs_total A \"job\"\\\\.\\n\n# TYPE jobs_total counter\njobs_total{otel_scope_name=\"m\"} 1\n";
        let open = "# HELP jobs A \\\"job\\\"\\\\.\\n\n# TYPE jobs counter\njobs_total{otel_scope_name=\"m\"} 1\n\
                    jobs_created{otel_scope_name=\"m\"} ";
        for (accept, content_type, lines) in [
            ("", "text/plain; version=0.0.4; charset=utf-8", text),
            ("text/html,*/*;q=0.1", "text/plain; version=0.0.4; charset=utf-8", text),
            (
                OPEN_METRICS,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                open,
            ),
            (
                UTF_8,
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
                open,
            ),
        ] {
            let (head, body) = scrape.response(accept);
            assert!(head.contains(&format!("content-type: {content_type}\r\n")), "{head}");
            assert!(head.contains("vary: Accept, Accept-Encoding"), "{head}");
            assert!(body.contains(lines), "{body}");
            assert_eq!(body.ends_with("\n# EOF\n"), lines == open, "{body}");
            assert_eq!(body.contains("_created"), lines == open, "{body}");
        }
    });
}

#[test]
fn gzip_has_the_same_text() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let counter = global::meter("m").u64_counter("jobs").build();
        for kind in 0..100 {
            counter.add(1, &[KeyValue::new("kind", kind)]);
        }
        let plain = scrape.text("");
        let (head, body) = http::send_with(scrape.address, "GET /metrics", "Accept-Encoding: gzip\r\n");
        assert!(head.contains("content-encoding: gzip"), "{head}");
        assert!(body.len() * 5 < plain.len(), "{} of {}", body.len(), plain.len());
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain);
        let (head, body) = http::send_with(scrape.address, "GET /metrics", "Accept-Encoding: gzip;q=0\r\n");
        assert!(!head.contains("content-encoding"), "{head}");
        assert_eq!(body, plain.as_bytes());
    });
}

/// Returns the time in the sample with this beginning, in milliseconds since 1970.
pub(crate) fn created(text: &str, sample: &str) -> u128 {
    let line = text.lines().find(|line| line.starts_with(sample)).expect(text);
    line.rsplit(' ').next().unwrap().replace('.', "").parse().unwrap()
}

fn now() -> u128 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()
}

#[test]
fn a_series_is_created_after_the_last_scrape_without_it() {
    in_own_process(|| {
        let begun = now();
        let scrape = Scrape::start();
        let counter = global::meter("m").u64_counter("jobs").build();
        let histogram = global::meter("m").f64_histogram("time").with_unit("s").build();
        counter.add(1, &[KeyValue::new("code", "OK")]);
        let first = scrape.text(OPEN_METRICS);
        let ok = created(&first, r#"jobs_created{code="OK","#);
        assert!((begun..=now()).contains(&ok), "{ok}");
        // Time passes between two scrapes. A clock cannot be awaited otherwise.
        std::thread::sleep(Duration::from_millis(20));
        let before = now();
        assert_eq!(created(&scrape.text(OPEN_METRICS), r#"jobs_created{code="OK","#), ok);
        let after = now();
        counter.add(1, &[KeyValue::new("code", "INTERNAL")]);
        histogram.record(1.0, &[]);
        for _ in 0..2 {
            let text = scrape.text(OPEN_METRICS);
            assert_eq!(created(&text, r#"jobs_created{code="OK","#), ok);
            for sample in [r#"jobs_created{code="INTERNAL","#, "time_seconds_created{"] {
                let created = created(&text, sample);
                assert!((before..=after).contains(&created), "{before} {created} {after}");
            }
        }
    });
}

#[test]
fn units_and_boundaries_are_those_of_open_metrics() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let meter = global::meter("");
        let histogram = meter
            .f64_histogram("size")
            .with_unit("By")
            .with_boundaries(vec![0.005, 1.0, 1_048_576.0]);
        histogram.build().record(2.0, &[]);
        meter.f64_gauge("used").with_unit("1").build().record(0.5, &[]);
        let open = scrape.text(OPEN_METRICS);
        let expected = "# TYPE size_bytes histogram\n# UNIT size_bytes bytes\nsize_bytes_bucket{le=\"0.005\"} 0\n\
                        size_bytes_bucket{le=\"1.0\"} 0\nsize_bytes_bucket{le=\"1.048576e+06\"} 1\n\
                        size_bytes_bucket{le=\"+Inf\"} 1\nsize_bytes_sum 2.0\nsize_bytes_count 1\nsize_bytes_created ";
        assert!(open.contains(expected), "{open}");
        assert!(
            open.contains("# TYPE used_ratio gauge\n# UNIT used_ratio ratio\nused_ratio 0.5\n"),
            "{open}"
        );
        let text = scrape.text("");
        assert!(text.contains("size_bytes_bucket{le=\"1\"} 0\n"), "{text}");
        assert!(!text.contains("# UNIT"), "{text}");
    });
}

#[test]
fn exponential_histograms_have_buckets() {
    in_own_process(|| {
        let telemetry = exponential_times();
        let histogram = global::meter("").f64_histogram("time").with_unit("s").build();
        for value in [0.0, 1.5, 1.5, 3.0] {
            histogram.record(value, &[]);
        }
        let (_, text) = http::get(telemetry.prometheus_address().unwrap(), "/metrics");
        let expected = "# TYPE time_seconds histogram\ntime_seconds_bucket{le=\"0\"} 1\n\
                        time_seconds_bucket{le=\"2\"} 3\ntime_seconds_bucket{le=\"2.8284271247461903\"} 3\n\
                        time_seconds_bucket{le=\"4\"} 4\ntime_seconds_bucket{le=\"+Inf\"} 4\n\
                        time_seconds_sum 6.0\ntime_seconds_count 4\n";
        assert!(text.contains(expected), "{text}");
    });
}
