//! How spans and log records are gathered before they are sent.

use std::time::Duration;

use opentelemetry_sdk::{logs, trace};

use crate::env::Env;

/// What the variables `OTEL_BSP_*` and `OTEL_BLRP_*` say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BatchSettings {
    /// How long they wait for more.
    pub(crate) delay: Duration,
    /// How many can wait; what is more is dropped.
    pub(crate) queue: usize,
    /// How many are sent at once.
    pub(crate) size: usize,
}

impl BatchSettings {
    pub(crate) fn for_spans(env: &Env) -> Self {
        BatchSettings::read("OTEL_BSP", Duration::from_secs(5), env)
    }

    pub(crate) fn for_logs(env: &Env) -> Self {
        BatchSettings::read("OTEL_BLRP", Duration::from_secs(1), env)
    }

    pub(crate) fn span_config(env: &Env) -> trace::BatchConfig {
        let BatchSettings { delay, queue, size } = BatchSettings::for_spans(env);
        trace::BatchConfigBuilder::default()
            .with_scheduled_delay(delay)
            .with_max_queue_size(queue)
            .with_max_export_batch_size(size)
            .build()
    }

    pub(crate) fn log_config(env: &Env) -> logs::BatchConfig {
        let BatchSettings { delay, queue, size } = BatchSettings::for_logs(env);
        logs::BatchConfigBuilder::default()
            .with_scheduled_delay(delay)
            .with_max_queue_size(queue)
            .with_max_export_batch_size(size)
            .build()
    }

    /// The sizes' defaults are the same for both.
    fn read(prefix: &str, default_delay: Duration, env: &Env) -> Self {
        const QUEUE: usize = 2048;
        const SIZE: usize = 512;
        let delay = env.positive_millis(&format!("{prefix}_SCHEDULE_DELAY"), default_delay);
        let queue = env.positive(&format!("{prefix}_MAX_QUEUE_SIZE"), QUEUE);
        let variable = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
        // Where it is not set it has no need to be told.
        let size = match env.text(&variable) {
            Some(_) => env.positive(&variable, SIZE.min(queue)),
            None => SIZE.min(queue),
        };
        if size > queue {
            let what = format_args!("is more than can wait, {prefix}_MAX_QUEUE_SIZE; used instead: {queue}");
            env.warn(&variable, &size.to_string(), what);
        }
        BatchSettings {
            delay,
            queue,
            size: size.min(queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_and_empty_are_the_defaults() {
        for variables in [
            [("X", ""), ("Y", "")],
            [("OTEL_BSP_SCHEDULE_DELAY", ""), ("OTEL_BLRP_MAX_QUEUE_SIZE", "")],
        ] {
            let env = Env::from_vars(variables);
            let (queue, size) = (2048, 512);
            let delay = Duration::from_secs(5);
            assert_eq!(BatchSettings::for_spans(&env), BatchSettings { delay, queue, size });
            let delay = Duration::from_secs(1);
            assert_eq!(BatchSettings::for_logs(&env), BatchSettings { delay, queue, size });
            assert_eq!(env.into_warnings(), [] as [&str; 0]);
        }
    }

    #[test]
    fn each_has_its_variables() {
        let env = Env::from_vars([
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "11"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "21"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "6"),
        ]);
        let delay = Duration::from_millis(10);
        let spans = BatchSettings {
            delay,
            queue: 20,
            size: 5,
        };
        assert_eq!(BatchSettings::for_spans(&env), spans);
        let delay = Duration::from_millis(11);
        let records = BatchSettings {
            delay,
            queue: 21,
            size: 6,
        };
        assert_eq!(BatchSettings::for_logs(&env), records);
        assert_eq!(env.into_warnings(), [] as [&str; 0]);
    }

    #[test]
    fn what_makes_no_sense_is_told_and_the_default_is_used() {
        let env = Env::from_vars([
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ]);
        let delay = Duration::from_secs(5);
        let spans = BatchSettings {
            delay,
            queue: 2048,
            size: 512,
        };
        assert_eq!(BatchSettings::for_spans(&env), spans);
        assert_eq!(
            env.into_warnings(),
            [
                r#"OTEL_BSP_SCHEDULE_DELAY="soon" is not a valid number; used instead: 5000"#,
                r#"OTEL_BSP_MAX_QUEUE_SIZE="0" is too small; used instead: 2048"#,
                r#"OTEL_BSP_MAX_EXPORT_BATCH_SIZE="-1" is not a valid number; used instead: 512"#,
            ]
        );
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        let env = Env::from_vars([
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "101"),
        ]);
        assert_eq!(BatchSettings::for_spans(&env).size, 100);
        assert_eq!(BatchSettings::for_logs(&env).size, 100);
        let expected = r#"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="101" is more than can wait, OTEL_BLRP_MAX_QUEUE_SIZE; used instead: 100"#;
        assert_eq!(env.into_warnings(), [expected], "only what somebody wrote");
    }
}
