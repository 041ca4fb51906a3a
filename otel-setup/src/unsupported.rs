//! Variables of the specification that the SDK for Rust does not support.

use crate::env::Env;

const UNSUPPORTED: [&str; 10] = [
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_ENTITIES",
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
];

/// Warns about every unsupported variable that is set.
pub(crate) fn warn(env: &Env) {
    for variable in UNSUPPORTED {
        warn_if_set(variable, env);
    }
    if let Some(level) = env.text("OTEL_LOG_LEVEL")
        && !level.trim().eq_ignore_ascii_case("info")
    {
        env.warn(
            "OTEL_LOG_LEVEL",
            &level,
            "is not supported; RUST_LOG filters the SDK's own messages",
        );
    }
    #[cfg(not(feature = "config-file"))]
    if let Some(path) = env.text("OTEL_CONFIG_FILE") {
        let problem = "requires the Cargo feature `config-file` of otel-setup; ignoring it";
        env.warn("OTEL_CONFIG_FILE", &path, problem);
    }
}

/// Warns about a variable if it is set.
pub(crate) fn warn_if_set(variable: &str, env: &Env) {
    if let Some(value) = env.text(variable) {
        env.warn(
            variable,
            &value,
            "is not supported by OpenTelemetry's SDK for Rust; ignoring it",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_that_are_set_cause_warnings() {
        let env = Env::from_vars([
            ("OTEL_BSP_EXPORT_TIMEOUT", "1000"),
            ("OTEL_CONFIG_FILE", ""),
            ("OTEL_LOG_LEVEL", "debug"),
        ]);
        warn(&env);
        assert_eq!(
            env.into_warnings(),
            [
                r#"OTEL_BSP_EXPORT_TIMEOUT="1000" is not supported by OpenTelemetry's SDK for Rust; ignoring it"#,
                r#"OTEL_LOG_LEVEL="debug" is not supported; RUST_LOG filters the SDK's own messages"#,
            ]
        );
    }
}
