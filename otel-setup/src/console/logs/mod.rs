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
/// [`pretty`](Self::pretty) writes a line for each: when, how severe, by whom, the message, the attributes, and the first eight digits of the trace's id. [`json`](Self::json) writes each
/// [as a JSON object](super#json) on a line of its own.
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
/// Exports fail where the writer does, a pipe that nobody reads any more included, and after the shutdown.
///
/// # Panics
///
/// Only where the writer does.
#[derive(Clone)]
pub struct ConsoleLogExporter(Handle<Format>);

enum Format {
    Pretty,
    Json,
}

impl ConsoleLogExporter {
    /// Lines on stdout, in colour where [stdout has colour](crate::stdout_supports_color).
    #[must_use]
    pub fn pretty() -> Self {
        ConsoleLogExporter(Handle::stdout(Format::Pretty))
    }

    /// JSON on stdout, one object a line.
    #[must_use]
    pub fn json() -> Self {
        ConsoleLogExporter(Handle::stdout(Format::Json))
    }

    /// Writes there instead, without color.
    #[must_use]
    pub fn writer(self, writer: impl Write + Send + 'static) -> Self {
        self.0.set_writer(writer);
        self
    }

    /// Whether lines have color.
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
    let said = record.severity_text().or(name).unwrap_or("-");
    let said = format!("{:5}", escape_control(said));
    let source = escape_control(record.target().map_or(scope.name(), AsRef::as_ref));
    // Writing to a string does not fail.
    let _ = write!(
        line,
        " {} {}",
        match severity {
            Some(severity) if severity >= Severity::Error => paint.error(&said, true),
            Some(severity) if severity >= Severity::Warn => paint.warning(&said),
            _ => said,
        },
        paint.dim(&format!("{source}:")),
    );
    // An event without a message has a name that tells what it is.
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

/// A text as it is, and anything else as in JSON.
fn show(value: &AnyValue) -> String {
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
