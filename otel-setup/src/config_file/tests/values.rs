//! Values of properties: those that are kept as they are written, and errors about unusable ones.

use super::{load, parse};

/// The content of a variable may look like a number.
#[test]
fn attributes_are_recorded_as_they_are_written() {
    for (attribute, expected) in [
        ("value: 3", "I64(3)"),
        ("value: 1.5", "F64(1.5)"),
        ("value: true", "Bool(true)"),
        ("value: 1.10", "String(Owned(\"1.10\"))"),
        ("value: 12e4567", "String(Owned(\"12e4567\"))"),
        ("value: 007", "String(Owned(\"007\"))"),
        ("value: 99999999999999999999", "String(Owned(\"99999999999999999999\"))"),
        ("value: 1.10, type: string", "String(Owned(\"1.10\"))"),
        ("value: True, type: string", "String(Owned(\"True\"))"),
        ("value: 1.10, type: double", "F64(1.1)"),
        ("value: 0x10, type: int", "I64(16)"),
        ("value: [1.5, 2]", "Array(F64([1.5, 2.0]))"),
        ("value: [1.5, 1.10]", "Array(String([Owned(\"1.5\"), Owned(\"1.10\")]))"),
        (
            "value: [v1, 1.10, true]",
            "Array(String([Owned(\"v1\"), Owned(\"1.10\"), Owned(\"true\")]))",
        ),
        (
            "value: [1.10, v1], type: string_array",
            "Array(String([Owned(\"1.10\"), Owned(\"v1\")]))",
        ),
        ("value: [1.10], type: double_array", "Array(F64([1.1]))"),
    ] {
        let config = load(&format!(
            "file_format: \"1.0\"\nresource: {{attributes: [{{name: a, {attribute}}}]}}"
        ));
        assert_eq!(format!("{:?}", config.resource[0].value), expected, "{attribute}");
    }
}

#[test]
fn unusable_values_are_errors_that_name_the_place() {
    const TRACES: &str = "tracer_provider.processors[0].batch.exporter";
    let traces = |rest: &str| format!("tracer_provider: {{processors: [{{batch: {{exporter: {rest}");
    let view = |view: &str| {
        format!("meter_provider: {{readers: [{{periodic: {{exporter: {{console: }}}}}}], views: [{view}]}}")
    };
    for (text, expected) in [
        (
            traces("{otlp_http: {headers_list: \"a=b,c\"}}}}]}"),
            format!("{TRACES}.otlp_http.headers_list has an invalid or reserved header as entry 2"),
        ),
        (
            traces("{console: {pretty: true}}}}]}"),
            format!("{TRACES}.console.pretty is not a known property; there is none"),
        ),
        (
            traces("{console: }}}], sampler: {parent_based: {local_parent_sampled: {always_on: {x: 1}}}}}"),
            "tracer_provider.sampler.parent_based.local_parent_sampled.always_on.x is not a known property".to_owned(),
        ),
        (
            "resource: {attributes: [{name: \" \", value: x}]}".to_owned(),
            "resource.attributes[0].name must not be empty".to_owned(),
        ),
        (
            view("{selector: {instrument_name: a}, stream: {name: \"\"}}"),
            "meter_provider.views[0].stream.name must not be empty".to_owned(),
        ),
    ] {
        let error = parse(&format!("file_format: \"1.0\"\n{text}")).err();
        let error = error.unwrap_or_else(|| panic!("{text} is accepted"));
        assert!(
            error.starts_with(&format!("otel.yaml:2: {expected}")),
            "{text}: {error}"
        );
    }
}
