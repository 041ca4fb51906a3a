//! Variables of the specification that nothing here reads: who sets one is told.

use crate::env::Environment;

const UNSUPPORTED: [&str; 12] = [
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_CONFIG_FILE",
    "OTEL_ENTITIES",
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
];

pub(crate) fn warn(environment: &Environment) {
    for variable in UNSUPPORTED {
        if let Some(value) = environment.text(variable) {
            environment.warn(
                variable,
                &value,
                "is not supported by OpenTelemetry's SDK for Rust; it is ignored",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_sets_one_is_told() {
        let environment = Environment::of([("OTEL_BSP_EXPORT_TIMEOUT", "1000"), ("OTEL_CONFIG_FILE", "")]);
        warn(&environment);
        let expected =
            r#"OTEL_BSP_EXPORT_TIMEOUT="1000" is not supported by OpenTelemetry's SDK for Rust; it is ignored"#;
        assert_eq!(environment.into_warnings(), [expected]);
    }
}
