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
/// [`pretty`](Self::pretty) draws each trace as a [`waterfall`](super::waterfall()) once it is
/// complete: when all ancestors of its spans have ended, up to one without a parent or with a
/// remote parent. Spans that end later are drawn immediately, in a trace marked `continued`, below
/// the names of their ancestors. If client and server are one process, the server's part is drawn
/// first, below `(remote parent …)`.
///
/// Spans without their parent are drawn on a flush or the shutdown, or when more than 4,096 spans
/// wait. The SDK's processors do not pass
/// [`SdkTracerProvider::force_flush`](opentelemetry_sdk::trace::SdkTracerProvider::force_flush) on
/// to their exporter. To flush, call `force_flush` on a clone of the exporter, which shares its
/// state.
///
/// [`json`](Self::json) writes each span immediately, as [a JSON object](super#json) per line.
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
/// Exports, flushes and shutdowns fail if the writer fails, for example because of a closed pipe.
/// Their text is lost. Exports and flushes also fail after the shutdown.
///
/// # Panics
///
/// Only if the writer panics. A writer that blocks also blocks the caller: the thread of a batch
/// processor, or with a simple processor the thread that ends a span.
#[derive(Clone)]
pub struct ConsoleSpanExporter(Handle<Format>);

enum Format {
    Pretty(Traces),
    Json,
}

impl ConsoleSpanExporter {
    /// Writes waterfalls to stdout, colored if [stdout supports it](crate::stdout_supports_color).
    #[must_use]
    pub fn pretty() -> Self {
        ConsoleSpanExporter(Handle::stdout(Format::Pretty(Traces::default())))
    }

    /// Writes JSON to stdout, one object per line.
    #[must_use]
    pub fn json() -> Self {
        ConsoleSpanExporter(Handle::stdout(Format::Json))
    }

    /// Sets another writer, and turns colors off.
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

    /// Turns the colors of waterfalls on or off.
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

/// Draws the buffered spans.
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
