//! The exporter of spans.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::handle::{Console, Handle};
use super::json;
use super::traces::Traces;

/// Writes traces to the console.
///
/// [`pretty`](Self::pretty) draws each trace as a [`waterfall`](super::waterfall()) once it is complete, as far as the process can know: when the spans above a span have ended, up to one without a parent or
/// with a remote one. What comes later is drawn as it comes, as a trace that is `continued`, below the names of the spans that stand further up. Where client and server are one process, each side's
/// span is the top of a part: the server's is drawn first, below `(remote parent …)`.
///
/// A span that waits for its parent in vain is drawn when the exporter is flushed or shut down, or when more than 4,096 spans wait.
/// Note that of the SDK's own processors none passes [`SdkTracerProvider::force_flush`](opentelemetry_sdk::trace::SdkTracerProvider::force_flush) on to its exporter, only the shutdown: to flush, keep a clone of the
/// exporter, which is a handle to the same one.
///
/// [`json`](Self::json) writes each span [as a JSON object](super#json) on a line of its own, as it comes.
///
/// # Example
///
/// ```
/// use opentelemetry::trace::{Tracer, TracerProvider};
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use otel_setup::console::ConsoleSpanExporter;
///
/// let provider = SdkTracerProvider::builder().with_simple_exporter(ConsoleSpanExporter::pretty()).build();
/// let tracer = provider.tracer("shop");
/// tracer.in_span("order", |_| tracer.in_span("pay", |_| {}));
/// // trace 1 f0945b287c652aee3e01e3a1361abce7
/// // order   internal     10.4µs    ██████████████████████████████
/// // └─ pay  internal      2.1µs            ██████
/// ```
///
/// # Errors
///
/// Exports, flushes and shutdowns fail where the writer does, a pipe that nobody reads any more included; what was to be written is lost. After the shutdown exports fail, too.
///
/// # Panics
///
/// Only where the writer does. A writer that blocks keeps the caller waiting: with a batch processor that is the processor's own thread, with a simple one it is whoever ends a span.
#[derive(Clone)]
pub struct ConsoleSpanExporter(Handle<Format>);

enum Format {
    Pretty(Traces),
    Json,
}

impl ConsoleSpanExporter {
    /// Waterfalls on stdout, in colour where [stdout has colour](crate::stdout_supports_color).
    #[must_use]
    pub fn pretty() -> Self {
        ConsoleSpanExporter(Handle::stdout(Format::Pretty(Traces::default())))
    }

    /// JSON on stdout, one object a line.
    #[must_use]
    pub fn json() -> Self {
        ConsoleSpanExporter(Handle::stdout(Format::Json))
    }

    /// Writes there instead, without color.
    ///
    /// ```
    /// use otel_setup::console::ConsoleSpanExporter;
    ///
    /// let exporter = ConsoleSpanExporter::json().writer(std::io::stderr());
    /// ```
    #[must_use]
    pub fn writer(self, writer: impl Write + Send + 'static) -> Self {
        self.0.set_writer(writer);
        self
    }

    /// Whether waterfalls have color.
    #[must_use]
    pub fn color(self, color: bool) -> Self {
        self.0.set_color(color);
        self
    }
}

impl SpanExporter for ConsoleSpanExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.export(|console| match &mut console.format {
            Format::Pretty(traces) => Ok(traces.add(batch, console.paint.color)),
            Format::Json => json::spans(&batch, &console.resource),
        })
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.shut_down(drain)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.export(|console| Ok(drain(console)))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn drain(console: &mut Console<Format>) -> String {
    match &mut console.format {
        Format::Pretty(traces) => traces.drain(console.paint.color),
        Format::Json => String::new(),
    }
}

impl fmt::Debug for ConsoleSpanExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleSpanExporter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
