//! Errors about unusable values of properties, at each level.

use super::parse;

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
