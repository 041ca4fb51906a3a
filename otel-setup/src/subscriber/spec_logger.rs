//! Log records that follow the specification: corrects the records of the bridge from `tracing`.
//!
//! * The bridge sets the event name `event src/main.rs:42` for unnamed events. Only records that
//!   are [events] have a name.
//! * Records of the `log` crate have the target `log`, and their own target as an attribute.
//! * The bridge sets no timestamp, only the SDK an observed one. Backends show the year 1970.
//!
//! [events]: https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-eventname

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::{InstrumentationScope, Key, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};

use super::event::is_log_crate_field;
use crate::panic_guard::LOG_PROCESSOR;

/// The SDK's logger provider, as the bridge gets it.
pub(super) struct SpecLoggerProvider(pub(super) SdkLoggerProvider);

pub(super) struct SpecLogger(SdkLogger);

pub(super) struct SpecRecord(SdkLogRecord);

impl LoggerProvider for SpecLoggerProvider {
    type Logger = SpecLogger;

    fn logger_with_scope(&self, scope: InstrumentationScope) -> SpecLogger {
        SpecLogger(self.0.logger_with_scope(scope))
    }
}

impl Logger for SpecLogger {
    type LogRecord = SpecRecord;

    fn create_log_record(&self) -> SpecRecord {
        let mut record = self.0.create_log_record();
        record.set_timestamp(SystemTime::now());
        SpecRecord(record)
    }

    fn emit(&self, record: SpecRecord) {
        LOG_PROCESSOR.run(|| self.0.emit(record.0));
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        let is_enabled = LOG_PROCESSOR.run(|| self.0.event_enabled(level, target, name));
        is_enabled.unwrap_or(true)
    }
}

impl LogRecord for SpecRecord {
    fn set_event_name(&mut self, name: &'static str) {
        if !is_generated_name(name) {
            self.0.set_event_name(name);
        }
    }

    fn add_attribute<K: Into<Key>, V: Into<AnyValue>>(&mut self, key: K, value: V) {
        let (key, value) = (key.into(), value.into());
        if !is_log_crate_field(key.as_str()) {
            self.0.add_attribute(key, value);
        } else if let ("log.target", AnyValue::String(target)) = (key.as_str(), value) {
            self.0.set_target(String::from(target));
        }
    }

    fn add_attributes<I, K, V>(&mut self, attributes: I)
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<Key>,
        V: Into<AnyValue>,
    {
        for (key, value) in attributes {
            self.add_attribute(key, value);
        }
    }

    fn set_target<T: Into<Cow<'static, str>>>(&mut self, target: T) {
        self.0.set_target(target);
    }

    fn set_timestamp(&mut self, timestamp: SystemTime) {
        self.0.set_timestamp(timestamp);
    }

    fn set_observed_timestamp(&mut self, timestamp: SystemTime) {
        self.0.set_observed_timestamp(timestamp);
    }

    fn set_severity_text(&mut self, text: &'static str) {
        self.0.set_severity_text(text);
    }

    fn set_severity_number(&mut self, number: Severity) {
        self.0.set_severity_number(number);
    }

    fn set_body(&mut self, body: AnyValue) {
        self.0.set_body(body);
    }

    fn set_trace_context(&mut self, trace_id: TraceId, span_id: SpanId, trace_flags: Option<TraceFlags>) {
        self.0.set_trace_context(trace_id, span_id, trace_flags);
    }
}

/// Returns true for the names that `tracing` and `tracing-log` give to unnamed events: `event
/// src/main.rs:42`, `log event`.
fn is_generated_name(name: &str) -> bool {
    let location = name
        .strip_prefix("event ")
        .and_then(|location| location.rsplit_once(':'));
    name == "log event" || location.is_some_and(|(_, line)| line.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_generated_names_are_removed() {
        for generated in ["event src/main.rs:42", "event C:\\main.rs:1", "log event"] {
            assert!(is_generated_name(generated), "{generated}");
        }
        for given in [
            "rpc.server.call.exception",
            "event",
            "event of the day",
            "event: 42",
            "log",
        ] {
            assert!(!is_generated_name(given), "{given}");
        }
    }
}
