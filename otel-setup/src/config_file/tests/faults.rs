//! Errors and warnings about faulty files.

use super::{load, parse};
use crate::env::Env;
use crate::signal::Signal;

/// Null is the default of each property, so the files above cause no warning.
#[test]
fn properties_that_the_sdk_lacks_are_ignored_with_a_warning() {
    const EXPORTER: &str = "exporter: {otlp_grpc: }";
    for (section, property) in [
        ("resource: {schema_url: \"https://a/1\"}", "resource.schema_url"),
        (
            "resource: {detection/development: {}}",
            "resource.detection/development",
        ),
        (
            &format!(
                "tracer_provider: {{processors: [{{batch: {{{EXPORTER}}}}}], tracer_configurator/development: {{}}}}"
            ),
            "tracer_provider.tracer_configurator/development",
        ),
        (
            &format!(
                "logger_provider: {{processors: [{{batch: {{{EXPORTER}}}}}], logger_configurator/development: {{}}}}"
            ),
            "logger_provider.logger_configurator/development",
        ),
        (
            &format!(
                "meter_provider: {{readers: [{{periodic: {{{EXPORTER}}}}}], meter_configurator/development: {{}}}}"
            ),
            "meter_provider.meter_configurator/development",
        ),
        (
            &format!("meter_provider: {{readers: [{{periodic: {{{EXPORTER}, producers: []}}}}]}}"),
            "meter_provider.readers[0].periodic.producers",
        ),
        (
            &format!("meter_provider: {{readers: [{{periodic: {{{EXPORTER}, cardinality_limits: {{}}}}}}]}}"),
            "meter_provider.readers[0].periodic.cardinality_limits",
        ),
        (
            &format!(
                "meter_provider: {{readers: [{{periodic: {{{EXPORTER}, max_export_batch_size/development: 1}}}}]}}"
            ),
            "meter_provider.readers[0].periodic.max_export_batch_size/development",
        ),
    ] {
        let warnings = load(&format!("file_format: \"1.0\"\n{section}")).into_warnings();
        let expected = format!("otel.yaml:2: {property} is not supported");
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(&expected),
            "{section}: {warnings:?}"
        );
    }
}

#[test]
fn faulty_files_are_errors_that_name_the_place() {
    let traces = |exporter: &str| {
        format!("file_format: \"1.0\"\ntracer_provider:\n  processors:\n    - batch: {{exporter: {exporter}}}\n")
    };
    let exporter = "otel.yaml:4: tracer_provider.processors[0].batch.exporter";
    for (text, expected) in [
        (
            "disabled: false",
            "otel.yaml:1: lacks the required property `file_format`; it has disabled",
        ),
        (
            "file_format: 1.0",
            "otel.yaml:1: file_format must be a string, such as \"1.0\"",
        ),
        (
            "file_format: \"1\"",
            "otel.yaml:1: file_format is \"1\", but only the versions 1.* are supported; write \"1.0\"",
        ),
        (
            "file_format: \"0.4\"",
            "otel.yaml:1: file_format is \"0.4\", but only the versions 1.* are supported; write \"1.0\"",
        ),
        (
            "file_format: \"2.0\"",
            "otel.yaml:1: file_format is \"2.0\", but only the versions 1.* are supported; write \"1.0\"",
        ),
        (
            "file_format: \"1.0\"\ndisabled: yes",
            "otel.yaml:2: disabled must be true or false",
        ),
        (
            "file_format: \"1.0\"\ntracer_provider: {}",
            "otel.yaml:2: tracer_provider lacks the required property `processors`",
        ),
        (
            "file_format: \"1.0\"\ntracer_provider: {limits: {}, procesors: []}",
            "otel.yaml:2: tracer_provider lacks the required property `processors`; it has limits, procesors",
        ),
        (
            "file_format: \"1.0\"\nresource: {\"a\\e[31mb\\u202ec\\\"\": 1}",
            "otel.yaml:2: resource.a\\u{1b}[31mb\\u{202e}c\" is not a known property",
        ),
        (
            "file_format: \"1.0\"\nlog_level: loud",
            "otel.yaml:2: log_level is \"loud\", but must be one of trace, trace2,",
        ),
        (
            "file_format: \"1.0\"\nlog_level: 9",
            "otel.yaml:2: log_level must be a string",
        ),
        (&traces("{}"), &format!("{exporter} must have exactly one property")),
        (
            &traces("{mine: }"),
            &format!(
                "{exporter}.mine is not an exporter that is supported here; supported are otlp_grpc, otlp_http, console"
            ),
        ),
        (
            &traces("{otlp_http: {compresion: gzip}}"),
            &format!(
                "{exporter}.otlp_http.compresion is not a known property; known are endpoint, headers_list, headers, \
                 compression, timeout, tls, encoding, max_request_size, max_response_size"
            ),
        ),
        (
            &traces("{otlp_http: {encoding: json}}"),
            &format!("{exporter}.otlp_http.encoding is \"json\", but must be one of protobuf"),
        ),
        (
            &traces("{otlp_http: {headers: [{name: a, value: b}, {name: \"a,b\", value: c}]}}"),
            &format!("{exporter}.otlp_http.headers[1] is an invalid or reserved header"),
        ),
        (
            &traces("{otlp_grpc: {headers: [{name: Content-Type, value: x}]}}"),
            &format!("{exporter}.otlp_grpc.headers[0] is an invalid or reserved header"),
        ),
        (
            &traces("{otlp_http: {timeout: -1}}"),
            &format!("{exporter}.otlp_http.timeout must be at least 0"),
        ),
        (
            &traces("{otlp_http: {tls: {ca_file: ca.pem}}}"),
            &format!("{exporter}.otlp_http.tls.ca_file must be an absolute path"),
        ),
        (
            "file_format: \"1.0\"\ndistribution: {otel_setup: {zpage: {}}}",
            "otel.yaml:2: distribution.otel_setup.zpage is not a known property; known are zpages",
        ),
        ("file_format: [", "otel.yaml: line "),
        (
            "file_format: \"${a\\e[31m\\u202e}\"",
            "otel.yaml: line 1: has the invalid reference \"${a\\u{1b}[31m\\u{202e}}\"; write",
        ),
    ] {
        let error = parse(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn faulty_propagators_are_errors_that_name_the_place() {
    for (propagator, expected) in [
        (
            "{composite: [{b3: }, {b4: }]}",
            "composite[1].b4 is not a propagator that is supported here; supported are \
             tracecontext, baggage, b3, b3multi, jaeger, ottrace, gcp, grpc-trace-bin, xray",
        ),
        (
            "{composite_list: \"b3,b4\"}",
            "composite_list has \"b4\", which is not a propagator that is supported here",
        ),
        (
            "{composite_list: \"b3,none\"}",
            "composite_list has \"none\" beside others",
        ),
        (
            "{composite_list: \"b3,NONE\"}",
            "composite_list has \"none\" beside others",
        ),
        (
            "{composite: [{none: }, {b3: }]}",
            "composite has \"none\" beside others",
        ),
    ] {
        let text = format!("file_format: \"1.0\"\npropagator: {propagator}");
        let error = parse(&text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        let expected = format!("otel.yaml:2: propagator.{expected}");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn faulty_options_of_layers_are_errors_that_name_the_place() {
    let layers = |layers: &str| {
        format!("file_format: \"1.0\"\ninstrumentation/development: {{rust: {{otel_runtime: {layers}}}}}\n")
    };
    let options = "otel.yaml:2: instrumentation/development.rust.otel_runtime";
    for (text, expected) in [
        (
            &layers("{server: {request_headers: [\"a b\"]}}"),
            &format!(
                "{options}.server.request_headers[0] is not a valid header name; expected one such as x-tenant or x-tenant-*"
            ),
        ),
        (
            &layers("{server: {request_headers: [\"cookie*\"]}}"),
            &format!("{options}.server.request_headers[0] is not a valid header name"),
        ),
        (
            &layers("{client: {public_endpoint: true}}"),
            &format!(
                "{options}.client.public_endpoint is not a known property; known are request_headers, \
                 response_headers, response_trailers, filters, failures, log_calls, message_sizes, message_counts"
            ),
        ),
        (
            &layers("{server: {filters: [{not: {path: x}}]}}"),
            &format!(
                "{options}.server.filters[0].not.path is not a known filter; known are health_check, reflection, \
                 service, service_prefix, method, not, any, all"
            ),
        ),
        (
            &layers("{server: {failures: {NOT_FOUND: often}}}"),
            &format!("{options}.server.failures.NOT_FOUND must be true or false"),
        ),
        (
            &layers("{client: {failures: {OK: true}}}"),
            &format!("{options}.client.failures.OK is not a known property; known are CANCELLED, UNKNOWN"),
        ),
        (
            &layers("{client: {log_calls: {slower_than: -1}}}"),
            &format!("{options}.client.log_calls.slower_than must be a number of seconds"),
        ),
        (
            &layers("{duration_boundaries: [0.1, 0.1]}"),
            &format!("{options}.duration_boundaries must be finite numbers, each greater than the one before"),
        ),
        (
            &layers("{duration_boundaries: fine}"),
            &format!("{options}.duration_boundaries is \"fine\", but must be one of grpc"),
        ),
    ] {
        let error = parse(text).err().unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn errors_of_the_setup_name_the_place() {
    let config = load(
        "file_format: \"1.0\"\ntracer_provider:\n  processors:\n    - batch: {exporter: {otlp_grpc: {endpoint: \"http://\"}}}",
    );
    let env: &Env = &config.traces.as_ref().unwrap().pipelines[0].env;
    let error = crate::otlp::checked_endpoint(Signal::Traces, env)
        .unwrap_err()
        .in_places(env);
    assert_eq!(
        error.to_string(),
        "tracer_provider.processors[0].batch.exporter.otlp_grpc.endpoint=\"http://\" is not a valid URL; expected e.g. \
         http://localhost:4317"
    );
}

#[test]
fn later_minor_versions_are_read_with_a_warning() {
    let config = load("file_format: \"1.9\"");
    assert_eq!(
        config.into_warnings(),
        ["otel.yaml:1: file_format is \"1.9\", but 1.2 is the latest version known here"]
    );
    assert_eq!(load("file_format: \"1.0-rc.2\"").into_warnings(), [""; 0]);
}
