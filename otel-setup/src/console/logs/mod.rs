//! The exporter of log records.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord};

use super::handle::Handle;
use super::json;
use crate::text::{self, Paint, escape_control};

/// Writes log records to the console.
///
/// [`pretty`](Self::pretty) writes one line per record: time, severity, target, message,
/// attributes, and the first eight digits of the trace id. [`json`](Self::json) writes each record
/// as [a JSON object](super#json) per line.
///
/// # Example
///
/// ```
/// use opentelemetry::logs::{LogRecord, Logger, LoggerProvider, Severity};
/// use opentelemetry_sdk::logs::SdkLoggerProvider;
/// use otel_setup::console::ConsoleLogExporter;
///
/// let provider = SdkLoggerProvider::builder().with_simple_exporter(ConsoleLogExporter::pretty()).build();
/// let logger = provider.logger("shop");
/// let mut record = logger.create_log_record();
/// record.set_severity_number(Severity::Info);
/// record.set_body("sold".into());
/// record.add_attribute("item", "tea");
/// logger.emit(record);
/// // 2026-01-31T23:59:59.999999Z INFO  shop: sold item=tea
/// ```
///
/// # Errors
///
/// Exports fail if the writer fails, for example because of a closed pipe, and after the shutdown.
///
/// # Panics
///
/// Only if the writer panics.
#[derive(Clone)]
pub struct ConsoleLogExporter(Handle<Format>);

enum Format {
    Pretty,
    Json,
}

impl ConsoleLogExporter {
    /// Writes lines to stdout, colored if [stdout supports it](crate::stdout_supports_color).
    #[must_use]
    pub fn pretty() -> Self {
        ConsoleLogExporter(Handle::stdout(Format::Pretty))
    }

    /// Writes JSON to stdout, one object per line.
    #[must_use]
    pub fn json() -> Self {
        ConsoleLogExporter(Handle::stdout(Format::Json))
    }

    /// Sets another writer, and turns colors off.
    #[must_use]
    pub fn writer(self, writer: impl Write + Send + 'static) -> Self {
        self.0.set_writer(writer);
        self
    }

    /// Turns the colors of lines on or off.
    #[must_use]
    pub fn color(self, color: bool) -> Self {
        self.0.set_color(color);
        self
    }
}

impl LogExporter for ConsoleLogExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.0.export(|console| match console.format {
            Format::Pretty => Ok(batch
                .iter()
                .map(|(record, scope)| line(record, scope, console.paint))
                .collect()),
            Format::Json => json::logs(&batch, &console.resource),
        })
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.shut_down(|_| String::new())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn line(record: &SdkLogRecord, scope: &InstrumentationScope, paint: Paint) -> String {
    let time = record.timestamp().or(record.observed_timestamp()).and_then(text::time);
    let mut line = paint.dim(time.as_deref().unwrap_or("-"));
    let severity = record.severity_number();
    let name = severity.as_ref().map(Severity::name);
    let level = record.severity_text().or(name).unwrap_or("-");
    let level = format!("{:5}", escape_control(level));
    let source = escape_control(record.target().map_or(scope.name(), AsRef::as_ref));
    // Writing to a string does not fail.
    let _ = write!(
        line,
        " {} {}",
        match severity {
            Some(severity) if severity >= Severity::Error => paint.error(&level, true),
            Some(severity) if severity >= Severity::Warn => paint.warning(&level),
            _ => level,
        },
        paint.dim(&format!("{source}:")),
    );
    // The name describes an event without a message.
    let message = record.body().map(show).or(record.event_name().map(str::to_owned));
    if let Some(message) = message {
        let _ = write!(line, " {}", escape_control(&message));
    }
    for (key, value) in record.attributes_iter() {
        let _ = write!(
            line,
            " {}={}",
            paint.dim(&escape_control(key.as_str())),
            escape_control(&show(value))
        );
    }
    if let Some(context) = record.trace_context() {
        let id = context.trace_id.to_string();
        let _ = write!(line, " {}", paint.dim(&format!("trace={}", &id[..8])));
    }
    line.push('\n');
    line
}

/// Formats strings unchanged, and other values as JSON.
pub(crate) fn show(value: &AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.to_string(),
        value => json::value(value),
    }
}

impl fmt::Debug for ConsoleLogExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleLogExporter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
