//! The configuration of the `tracing` subscriber.

use super::Builder;
use crate::subscriber::StdoutLogs;

impl Builder {
    /// Sets the format of `tracing` events on stdout, independent of the
    /// [`log_exporters`](Self::log_exporters).
    ///
    /// The default is [`StdoutLogs::Pretty`], or [`StdoutLogs::Off`] if the exporter `console`
    /// writes log records there.
    pub fn stdout_logs(mut self, format: StdoutLogs) -> Self {
        self.stdout_logs = Some(format);
        self
    }

    /// Leaves the fields of enclosing `tracing` spans out of log records and of lines on stdout.
    ///
    /// By default, an event has the fields of all enclosing spans that `RUST_LOG` enables: in log
    /// records as attributes, which the event's own fields and those of inner spans override, in
    /// JSON in the member `spans`, and in text behind the name of the span.
    pub fn without_span_fields(mut self) -> Self {
        self.without_span_fields = true;
        self
    }

    /// Selects the `tracing` spans that become OpenTelemetry spans, with the [directives of
    /// `EnvFilter`](tracing_subscriber::filter::EnvFilter#directives).
    ///
    /// The default is `info`. `RUST_LOG` has no effect on spans: more verbose logs cause no more
    /// traces. The spans of RPCs are not `tracing` spans, so they are always recorded. Invalid
    /// directives are ignored with a warning.
    ///
    /// ```
    /// // Also the spans of level DEBUG of one crate.
    /// let builder = otel_setup::builder().span_directives("info,greeter=debug");
    /// # drop(builder);
    /// ```
    pub fn span_directives(mut self, directives: impl Into<String>) -> Self {
        self.span_directives = Some(directives.into());
        self
    }

    /// Sets no global `tracing` subscriber.
    ///
    /// The program sets its own, with [layers of this
    /// crate](crate::Telemetry#layers-for-a-subscriber-of-your-own).
    pub fn without_subscriber(mut self) -> Self {
        self.without_subscriber = true;
        self
    }
}
