//! The names of a scrape follow the specification, whatever the program adds.

use integration_tests::metric_names::record_all;
use integration_tests::own_process::in_own_process;
use opentelemetry::{InstrumentationScope, KeyValue, global};
use otel_setup::TranslationStrategy;

use crate::prometheus::{OPEN_METRICS, Scrape, UTF_8};

#[test]
fn names_of_108_metrics_are_those_of_the_specification() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let expected = record_all(&global::meter("names"));
        assert_eq!(expected.len(), 108);
        for (accept, expected) in [("", expected.clone()), (OPEN_METRICS, without_total(expected))] {
            let text = scrape.text(accept);
            let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            let mut found: Vec<_> = types.filter_map(|line| line.split_once(' ')).collect();
            found.retain(|(name, _)| !name.starts_with("target"));
            found.sort_unstable();
            let expected: Vec<_> = expected.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
            assert_eq!(found, expected);
        }
    });
}

/// OpenMetrics has the names of counters without their suffix in its metadata.
fn without_total(names: Vec<(String, &'static str)>) -> Vec<(String, &'static str)> {
    let stripped = |(name, kind): (String, &'static str)| match name.strip_suffix("_total") {
        Some(base) if kind == "counter" => (base.to_owned(), kind),
        _ => (name, kind),
    };
    let mut names: Vec<_> = names.into_iter().map(stripped).collect();
    names.sort();
    names
}

#[test]
fn labels_are_valid_and_keep_every_value() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let gauge = global::meter("labels").u64_gauge("g").build();
        let histogram = global::meter("labels")
            .u64_histogram("h")
            .with_boundaries(vec![1.0])
            .build();
        let rows: [(&[(&'static str, &str)], &str); 8] = [
            (&[("1st", "a")], r#"key_1st="a""#),
            (&[("http.route", "/")], r#"http_route="/""#),
            (&[("a.b", "1"), ("a_b", "2"), ("a/b", "3")], r#"a_b="1;3;2""#),
            (&[("a..b__c", "1")], r#"a_b_c="1""#),
            (&[("__name__", "x")], r#"_name_="x""#),
            (&[("é", "\"\\\n")], r#"_="\"\\\n""#),
            (&[("le", "x")], r#"le="x""#),
            (&[("empty", "")], ""),
        ];
        for (row, (attributes, _)) in rows.iter().enumerate() {
            let attributes = attributes
                .iter()
                .map(|(key, value)| KeyValue::new(*key, (*value).to_owned()));
            let attributes: Vec<_> = attributes.chain([KeyValue::new("row", row.to_string())]).collect();
            gauge.record(1, &attributes);
            histogram.record(1, &attributes);
        }
        for accept in ["", OPEN_METRICS] {
            let text = scrape.text(accept);
            for (row, (_, labels)) in rows.iter().enumerate() {
                let mut labels: Vec<String> = [*labels]
                    .iter()
                    .filter(|it| !it.is_empty())
                    .map(|it| (*it).to_owned())
                    .collect();
                labels.extend([r#"otel_scope_name="labels""#.to_owned(), format!(r#"row="{row}""#)]);
                labels.sort();
                let line = format!("\ng{{{}}} 1\n", labels.join(","));
                assert!(text.contains(&line), "{line} in {text}");
            }
            // A histogram has a label `le` of its own.
            let renamed = r#"h_bucket{exported_le="x",otel_scope_name="labels",row="6",le="1"#;
            assert!(text.contains(renamed), "{text}");
        }
    });
}

#[test]
fn scopes_are_labels() {
    in_own_process(|| {
        let scrape = Scrape::start();
        let scope = InstrumentationScope::builder("orders")
            .with_version("1.2")
            .with_schema_url("https://example.com/1")
            .with_attributes([
                KeyValue::new("name", "dropped"),
                KeyValue::new("schema.url", "dropped"),
                KeyValue::new("short-name", "early"),
                KeyValue::new("other", 1),
                KeyValue::new("short-name", "o"),
            ])
            .build();
        global::meter_with_scope(scope)
            .u64_counter("placed")
            .build()
            .add(2, &[]);
        let expected = "placed_total{otel_scope_name=\"orders\",otel_scope_other=\"1\",otel_scope_schema_url=\"https://example.com/1\",\
                        otel_scope_short_name=\"o\",otel_scope_version=\"1.2\"} 2\n";
        let text = scrape.text("");
        assert!(text.contains(expected), "{text}");
    });
}

#[test]
fn conflicts_cost_the_later_metric_and_are_logged_once() {
    let output = in_own_process(|| {
        let scrape = Scrape::start();
        let meter = global::meter("a");
        meter.u64_counter("jobs").with_description("Jobs.").build().add(1, &[]);
        // Two names become one.
        meter.u64_counter("files.open").build().add(1, &[]);
        assert!(scrape.text("").contains("files_open_total{"));
        meter.u64_gauge("files_open_total").build().record(2, &[]);
        // The types agree, and the descriptions do not.
        global::meter("b")
            .u64_counter("jobs")
            .with_description("Work.")
            .build()
            .add(3, &[]);
        // Two sets of attributes become one.
        meter.u64_gauge("g").build().record(4, &[KeyValue::new("a.b", "x")]);
        meter.u64_gauge("g").build().record(5, &[KeyValue::new("a_b", "x")]);
        for _ in 0..2 {
            let text = scrape.text("");
            assert!(text.contains("files_open_total{otel_scope_name=\"a\"} 1\n"), "{text}");
            assert!(!text.contains("files_open_total{otel_scope_name=\"a\"} 2\n"), "{text}");
            let jobs = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\n\
                        jobs_total{otel_scope_name=\"a\"} 1\njobs_total{otel_scope_name=\"b\"} 3\n";
            assert!(text.contains(jobs), "{text}");
            assert_eq!(text.matches("\ng{").count(), 1, "{text}");
        }
    });
    let Some(output) = output else { return };
    for warning in [
        "another metric has a name of the gauge files_open_total in Prometheus; dropping the metric \"files_open_total\" (logged once)",
        "the metric jobs_total has several descriptions; using \"Jobs.\" (logged once)",
        "two series of the metric g have the same labels in Prometheus; dropping one (logged once)",
    ] {
        assert_eq!(output.stdout.matches(warning).count(), 1, "{output:?}");
    }
}

#[test]
fn names_stay_as_they_are_for_a_scraper_that_allows_utf_8() {
    in_own_process(|| {
        let scrape = Scrape::with(TranslationStrategy::NoUtf8EscapingWithSuffixes);
        let counter = global::meter("").u64_counter("http.requests").with_unit("By").build();
        counter.add(1, &[KeyValue::new("http.route", "/")]);
        let utf_8 = scrape.text(UTF_8);
        assert!(utf_8.contains("# TYPE \"http.requests_bytes\" counter\n"), "{utf_8}");
        assert!(
            utf_8.contains("{\"http.requests_bytes_total\",\"http.route\"=\"/\"} 1\n"),
            "{utf_8}"
        );
        let ascii = scrape.text(OPEN_METRICS);
        assert!(
            ascii.contains("http_requests_bytes_total{http_route=\"/\"} 1\n"),
            "{ascii}"
        );
        assert!(!ascii.contains("http.requests"), "{ascii}");
    });
}
