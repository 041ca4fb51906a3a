//! Values and properties that are ignored with a warning.

use super::super::check::report;
use super::load;

/// The schema allows other properties at the root, where files keep their anchors.
#[test]
fn unknown_properties_of_the_root_are_ignored() {
    let config = load(
        "file_format: \"1.0\"\nx-exporter: &exporter {otlp_grpc: {endpoint: \"http://c:1\"}}\n\
         tracer_provider: {processors: [{batch: {exporter: *exporter}}]}\nmeter_providr: {}",
    );
    assert_eq!(config.traces.as_ref().unwrap().pipelines.len(), 1);
    assert_eq!(
        config.into_warnings(),
        ["otel.yaml:4: meter_providr is not a known property; ignoring it"]
    );
}

/// Values that are valid for the schema, but not for the setup, are told with their place.
#[test]
fn values_that_are_ignored_are_told() {
    const EXPORTER: &str = "exporter: {otlp_grpc: }";
    for (section, expected) in [
        (
            "resource: {attributes: [{name: service.name, value: \" \"}]}".to_owned(),
            "otel.yaml:2: resource.attributes[0] is an empty service.name; ignoring it",
        ),
        (
            "resource: {attributes_list: \"service.name=\"}".to_owned(),
            "otel.yaml:2: resource.attributes_list has an empty service.name; ignoring that",
        ),
        (
            format!("tracer_provider: {{processors: [{{batch: {{max_queue_size: 2000000, {EXPORTER}}}}}]}}"),
            "tracer_provider.processors[0].batch.max_queue_size=\"2000000\" is greater than 1048576; using 1048576",
        ),
        (
            format!("logger_provider: {{processors: [{{batch: {{max_export_batch_size: 4096, {EXPORTER}}}}}]}}"),
            "logger_provider.processors[0].batch.max_export_batch_size=\"4096\" is greater than \
             logger_provider.processors[0].batch.max_queue_size; using 2048",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {console: }}}], views: [{selector: {instrument_name: \"a*\"}, \
             stream: {name: b}}]}"
                .to_owned(),
            "otel.yaml:2: meter_provider.views[0].stream.name is that of all instruments which the view selects",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {console: }}}], views: [{selector: , \
             stream: {aggregation_cardinality_limit: 9223372036854775807}}]}"
                .to_owned(),
            "otel.yaml:2: meter_provider.views[0].stream.aggregation_cardinality_limit is greater than 65536; \
             using 65536",
        ),
        (
            "meter_provider: {readers: [{periodic: {exporter: {console: }}}], views: [{selector: , \
             stream: {aggregation: {base2_exponential_bucket_histogram: {max_size: 2147483648}}}}]}"
                .to_owned(),
            "otel.yaml:2: meter_provider.views[0].stream.aggregation.base2_exponential_bucket_histogram.max_size is \
             greater than 65536; using 65536",
        ),
        (
            "meter_provider: {readers: [{pull: {exporter: {prometheus/development: {without_scope_info: true}}}}]}"
                .to_owned(),
            "otel.yaml:2: meter_provider.readers[0].pull.exporter.prometheus/development.without_scope_info is not \
             supported by OpenTelemetry's SDK for Rust; ignoring it",
        ),
    ] {
        let config = load(&format!("file_format: \"1.0\"\n{section}"));
        let report = report(config).unwrap();
        assert_eq!(report.warnings(), [expected], "{section}");
    }
}
