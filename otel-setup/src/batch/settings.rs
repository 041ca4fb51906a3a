//! Settings of the batch processors of spans and log records.

use std::time::Duration;

use crate::env::Env;

/// Settings of a batch processor: the variables `OTEL_BSP_*` or `OTEL_BLRP_*`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BatchSettings {
    /// Time between two exports.
    pub(crate) interval: Duration,
    /// Maximum length of the queue. Spans and log records beyond it are dropped.
    pub(crate) max_queue_size: usize,
    /// Maximum size of a batch.
    pub(crate) max_batch_size: usize,
}

/// The maximum length of a queue. A full one takes about 1 GB: less than the system would give
/// before it ends the process.
const MAX_QUEUE: usize = 1 << 20;

impl BatchSettings {
    pub(crate) fn for_spans(env: &Env) -> Self {
        BatchSettings::read("OTEL_BSP", Duration::from_secs(5), env)
    }

    pub(crate) fn for_logs(env: &Env) -> Self {
        BatchSettings::read("OTEL_BLRP", Duration::from_secs(1), env)
    }

    /// Returns the setting of the queue's length, and its value.
    pub(super) fn queue_size(&self, variable: &str, env: &Env) -> String {
        let setting = env.setting(variable).unwrap_or_else(|| "max_queue_size".to_owned());
        format!("{setting} is {}", self.max_queue_size)
    }

    fn read(prefix: &str, default_interval: Duration, env: &Env) -> Self {
        const QUEUE: usize = 2048;
        const SIZE: usize = 512;
        let interval = env.positive_millis(&format!("{prefix}_SCHEDULE_DELAY"), default_interval);
        let variable = format!("{prefix}_MAX_QUEUE_SIZE");
        let mut max_queue_size = env.positive(&variable, QUEUE).unwrap_or(QUEUE);
        if max_queue_size > MAX_QUEUE {
            env.warn(
                &variable,
                &max_queue_size.to_string(),
                format_args!("is greater than {MAX_QUEUE}; using {MAX_QUEUE}"),
            );
            max_queue_size = MAX_QUEUE;
        }
        let variable = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
        // If it is unset, a small queue limits the default silently.
        let default = SIZE.min(max_queue_size);
        let max_batch_size = env.positive(&variable, default).unwrap_or(default);
        if max_batch_size > max_queue_size {
            let problem = format_args!("is greater than {prefix}_MAX_QUEUE_SIZE; using {max_queue_size}");
            env.warn(&variable, &max_batch_size.to_string(), problem);
        }
        BatchSettings {
            interval,
            max_queue_size,
            max_batch_size: max_batch_size.min(max_queue_size),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_and_empty_variables_use_the_defaults() {
        for variables in [
            [("X", ""), ("Y", "")],
            [("OTEL_BSP_SCHEDULE_DELAY", ""), ("OTEL_BLRP_MAX_QUEUE_SIZE", "")],
        ] {
            let env = Env::from_vars(variables);
            let (max_queue_size, max_batch_size) = (2048, 512);
            let interval = Duration::from_secs(5);
            assert_eq!(
                BatchSettings::for_spans(&env),
                BatchSettings {
                    interval,
                    max_queue_size,
                    max_batch_size
                }
            );
            let interval = Duration::from_secs(1);
            assert_eq!(
                BatchSettings::for_logs(&env),
                BatchSettings {
                    interval,
                    max_queue_size,
                    max_batch_size
                }
            );
            assert_eq!(env.into_warnings(), [] as [&str; 0]);
        }
    }

    #[test]
    fn spans_and_logs_have_their_own_variables() {
        let env = Env::from_vars([
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "11"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "21"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "6"),
        ]);
        let interval = Duration::from_millis(10);
        let spans = BatchSettings {
            interval,
            max_queue_size: 20,
            max_batch_size: 5,
        };
        assert_eq!(BatchSettings::for_spans(&env), spans);
        let interval = Duration::from_millis(11);
        let records = BatchSettings {
            interval,
            max_queue_size: 21,
            max_batch_size: 6,
        };
        assert_eq!(BatchSettings::for_logs(&env), records);
        assert_eq!(env.into_warnings(), [] as [&str; 0]);
    }

    #[test]
    fn invalid_values_warn_and_use_the_defaults() {
        let env = Env::from_vars([
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ]);
        let interval = Duration::from_secs(5);
        let spans = BatchSettings {
            interval,
            max_queue_size: 2048,
            max_batch_size: 512,
        };
        assert_eq!(BatchSettings::for_spans(&env), spans);
        assert_eq!(
            env.into_warnings(),
            [
                r#"OTEL_BSP_SCHEDULE_DELAY="soon" is not a valid number; using 5000"#,
                r#"OTEL_BSP_MAX_QUEUE_SIZE="0" is not greater than 0; using 2048"#,
                r#"OTEL_BSP_MAX_EXPORT_BATCH_SIZE="-1" is not a valid number; using 512"#,
            ]
        );
    }

    #[test]
    fn queues_are_bounded() {
        for value in ["1048577", "1000000000", "18446744073709551615"] {
            let env = Env::from_vars([
                ("OTEL_BSP_MAX_QUEUE_SIZE", value),
                ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", value),
            ]);
            let settings = BatchSettings::for_spans(&env);
            assert_eq!(
                (settings.max_queue_size, settings.max_batch_size),
                (1_048_576, 1_048_576)
            );
            assert_eq!(
                env.into_warnings(),
                [
                    format!("OTEL_BSP_MAX_QUEUE_SIZE={value:?} is greater than 1048576; using 1048576"),
                    format!(
                        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE={value:?} is greater than OTEL_BSP_MAX_QUEUE_SIZE; using 1048576"
                    ),
                ]
            );
        }
    }

    #[test]
    fn a_batch_is_at_most_as_large_as_the_queue() {
        let env = Env::from_vars([
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "101"),
        ]);
        assert_eq!(BatchSettings::for_spans(&env).max_batch_size, 100);
        assert_eq!(BatchSettings::for_logs(&env).max_batch_size, 100);
        let expected = r#"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="101" is greater than OTEL_BLRP_MAX_QUEUE_SIZE; using 100"#;
        assert_eq!(env.into_warnings(), [expected], "no warning about a default");
    }
}
