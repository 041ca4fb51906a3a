//! How spans and log records are gathered before they are sent.

use std::time::Duration;

use opentelemetry_sdk::{logs, trace};

use crate::env::Environment;

/// What the variables `OTEL_BSP_*` and `OTEL_BLRP_*` say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    /// How long they wait for more.
    pub(crate) delay: Duration,
    /// How many can wait; what is more is dropped.
    pub(crate) queue: usize,
    /// How many are sent at once.
    pub(crate) size: usize,
}

impl Batches {
    pub(crate) fn of_spans(environment: &Environment) -> Self {
        Batches::read("OTEL_BSP", Duration::from_secs(5), environment)
    }

    pub(crate) fn of_log_records(environment: &Environment) -> Self {
        Batches::read("OTEL_BLRP", Duration::from_secs(1), environment)
    }

    pub(crate) fn span_config(environment: &Environment) -> trace::BatchConfig {
        let Batches { delay, queue, size } = Batches::of_spans(environment);
        trace::BatchConfigBuilder::default()
            .with_scheduled_delay(delay)
            .with_max_queue_size(queue)
            .with_max_export_batch_size(size)
            .build()
    }

    pub(crate) fn log_config(environment: &Environment) -> logs::BatchConfig {
        let Batches { delay, queue, size } = Batches::of_log_records(environment);
        logs::BatchConfigBuilder::default()
            .with_scheduled_delay(delay)
            .with_max_queue_size(queue)
            .with_max_export_batch_size(size)
            .build()
    }

    /// The sizes' defaults are the same for both.
    fn read(prefix: &str, default_delay: Duration, environment: &Environment) -> Self {
        const QUEUE: usize = 2048;
        const SIZE: usize = 512;
        let delay = environment.positive_milliseconds(&format!("{prefix}_SCHEDULE_DELAY"), default_delay);
        let queue = environment.positive(&format!("{prefix}_MAX_QUEUE_SIZE"), QUEUE);
        let variable = format!("{prefix}_MAX_EXPORT_BATCH_SIZE");
        // Where it is not set it has no need to be told.
        let size = match environment.text(&variable) {
            Some(_) => environment.positive(&variable, SIZE.min(queue)),
            None => SIZE.min(queue),
        };
        if size > queue {
            let what = format_args!("is more than can wait, {prefix}_MAX_QUEUE_SIZE; used instead: {queue}");
            environment.warn(&variable, &size.to_string(), what);
        }
        Batches {
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
            let environment = Environment::of(variables);
            let (queue, size) = (2048, 512);
            let delay = Duration::from_secs(5);
            assert_eq!(Batches::of_spans(&environment), Batches { delay, queue, size });
            let delay = Duration::from_secs(1);
            assert_eq!(Batches::of_log_records(&environment), Batches { delay, queue, size });
            assert_eq!(environment.into_warnings(), [] as [&str; 0]);
        }
    }

    #[test]
    fn each_has_its_variables() {
        let environment = Environment::of([
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "20"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "11"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "21"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "6"),
        ]);
        let delay = Duration::from_millis(10);
        let spans = Batches {
            delay,
            queue: 20,
            size: 5,
        };
        assert_eq!(Batches::of_spans(&environment), spans);
        let delay = Duration::from_millis(11);
        let records = Batches {
            delay,
            queue: 21,
            size: 6,
        };
        assert_eq!(Batches::of_log_records(&environment), records);
        assert_eq!(environment.into_warnings(), [] as [&str; 0]);
    }

    #[test]
    fn what_makes_no_sense_is_told_and_the_default_is_used() {
        let environment = Environment::of([
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ]);
        let delay = Duration::from_secs(5);
        let spans = Batches {
            delay,
            queue: 2048,
            size: 512,
        };
        assert_eq!(Batches::of_spans(&environment), spans);
        assert_eq!(
            environment.into_warnings(),
            [
                r#"OTEL_BSP_SCHEDULE_DELAY="soon" is not a valid number; used instead: 5000"#,
                r#"OTEL_BSP_MAX_QUEUE_SIZE="0" is too small; used instead: 2048"#,
                r#"OTEL_BSP_MAX_EXPORT_BATCH_SIZE="-1" is not a valid number; used instead: 512"#,
            ]
        );
    }

    #[test]
    fn a_batch_is_no_larger_than_the_queue() {
        let environment = Environment::of([
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "101"),
        ]);
        assert_eq!(Batches::of_spans(&environment).size, 100);
        assert_eq!(Batches::of_log_records(&environment).size, 100);
        let expected = r#"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE="101" is more than can wait, OTEL_BLRP_MAX_QUEUE_SIZE; used instead: 100"#;
        assert_eq!(environment.into_warnings(), [expected], "only what somebody wrote");
    }
}
