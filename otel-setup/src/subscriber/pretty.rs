//! The text format of stdout.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::event::{current_span, field_name, is_shown, now, written};
use crate::text::{Paint, escape_control};

/// The format of `tracing-subscriber`, with the first eight digits of the trace id, and the method
/// of the RPC in front of its spans.
pub(super) struct Pretty {
    paint: Paint,
    span_fields: bool,
}

impl Pretty {
    pub(super) fn new(color: bool, span_fields: bool) -> Self {
        Pretty {
            paint: Paint { color },
            span_fields,
        }
    }

    fn level(&self, level: Level) -> String {
        let text = format!("{level:>5}");
        match level {
            Level::ERROR => self.paint.error(&text, true),
            Level::WARN => self.paint.warning(&text),
            Level::INFO => text,
            _ => self.paint.dim(&text),
        }
    }
}

impl<S> FormatEvent<S, PrettyFields> for Pretty
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, PrettyFields>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // `Some` for records of the `log` crate.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        write!(to, "{} {} ", self.paint.dim(&now()), self.level(*metadata.level()))?;
        if let Some(span) = current_span() {
            let trace = span.trace_id().to_string();
            write!(to, "{} ", self.paint.dim(&trace[..8]))?;
        }
        let mut is_in_span = false;
        if let Some(method) = otel_runtime::current_method() {
            write!(to, "{}:", self.paint.bold(&escape_control(method)))?;
            is_in_span = true;
        }
        let scope = context.event_scope().map(Scope::from_root);
        for span in scope.into_iter().flatten().filter(|span| is_shown(span.metadata())) {
            to.write_str(&self.paint.bold(span.name()))?;
            if self.span_fields
                && let Some(fields) = span.extensions().get::<FormattedFields<PrettyFields>>()
                && !fields.is_empty()
            {
                let fields = entries(&fields.fields).map(|field| field.strip_prefix(MESSAGE).unwrap_or(field));
                write!(to, "{{{}}}", fields.collect::<Vec<_>>().join(" "))?;
            }
            to.write_char(':')?;
            is_in_span = true;
        }
        if is_in_span {
            to.write_char(' ')?;
        }
        let target = escape_control(metadata.target());
        write!(to, "{} ", self.paint.dim(&format!("{target}:")))?;
        let mut writer = FieldWriter::new(to.by_ref(), false);
        event.record(&mut writer);
        writer.result?;
        writeln!(to)
    }
}

/// The name of the message in the fields of a span. Lines show it without a name.
const MESSAGE: &str = "message=";

/// Formats the fields of a span as `name=value`, each on a line: no value has a line break.
pub(super) struct PrettyFields;

impl<'w> FormatFields<'w> for PrettyFields {
    fn format_fields<R: RecordFields>(&self, to: Writer<'w>, fields: R) -> fmt::Result {
        let mut writer = FieldWriter::new(to, true);
        fields.record(&mut writer);
        writer.result
    }

    /// Adds fields that are recorded later. A later value replaces an earlier one.
    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let mut added = String::new();
        self.format_fields(Writer::new(&mut added), fields)?;
        let mut all: Vec<&str> = entries(&current.fields).collect();
        for field in entries(&added) {
            match all.iter_mut().find(|earlier| name(earlier) == name(field)) {
                Some(earlier) => *earlier = field,
                None => all.push(field),
            }
        }
        current.fields = all.join("\n");
        Ok(())
    }
}

/// Returns the fields that [`PrettyFields`] has formatted.
fn entries(fields: &str) -> impl Iterator<Item = &str> {
    fields.split('\n').filter(|field| !field.is_empty())
}

fn name(field: &str) -> &str {
    field.split_once('=').map_or(field, |(name, _)| name)
}

/// Writes each field that it visits: those of a span for [`PrettyFields`], others as lines show
/// them.
struct FieldWriter<'w> {
    to: Writer<'w>,
    is_of_span: bool,
    is_first: bool,
    result: fmt::Result,
}

impl<'w> FieldWriter<'w> {
    fn new(to: Writer<'w>, is_of_span: bool) -> Self {
        FieldWriter {
            to,
            is_of_span,
            is_first: true,
            result: Ok(()),
        }
    }

    fn write_field(&mut self, field: &Field, value: &str) {
        let Some(name) = field_name(field) else { return };
        let space = match (std::mem::take(&mut self.is_first), self.is_of_span) {
            (true, _) => "",
            (false, true) => "\n",
            (false, false) => " ",
        };
        // A line break would make one event look like two.
        let value = escape_control(value);
        let written = match name {
            "message" if !self.is_of_span => write!(self.to, "{space}{value}"),
            name => write!(self.to, "{space}{name}={value}"),
        };
        self.result = self.result.and(written);
    }
}

impl Visit for FieldWriter<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.write_field(field, value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write_field(field, &written(format_args!("{value}")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write_field(field, &written(format_args!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
    use opentelemetry::{Context, SpanId, TraceId};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the lines that `work` writes, without their times.
    fn lines(color: bool, work: impl FnOnce()) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(PrettyFields)
            .event_format(Pretty::new(color, true));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| line.split_once('Z').unwrap().1.to_owned());
        lines.collect()
    }

    fn work() {
        let id = TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128);
        let span = SpanContext::new(id, SpanId::from(1), TraceFlags::SAMPLED, true, TraceState::NONE);
        let _context = Context::new().with_remote_span_context(span).attach();
        let _outer = tracing::info_span!("outer", item = tracing::field::Empty).entered();
        tracing::Span::current().record("item", "a\nline");
        let _inner = tracing::info_span!("inner").entered();
        tracing::error!(target: "t", "\x1b[2Jerror");
        tracing::warn!(target: "t", "warning");
        tracing::info!(target: "t", "information");
        tracing::debug!(target: "t", "detail");
    }

    #[test]
    fn lines_show_spans_with_their_fields() {
        assert_eq!(
            lines(false, work),
            [
                " ERROR 4bf92f35 outer{item=\"a\\nline\"}:inner: t: \\u{1b}[2Jerror",
                "  WARN 4bf92f35 outer{item=\"a\\nline\"}:inner: t: warning",
                "  INFO 4bf92f35 outer{item=\"a\\nline\"}:inner: t: information",
                " DEBUG 4bf92f35 outer{item=\"a\\nline\"}:inner: t: detail",
            ]
        );
    }

    #[test]
    fn color_highlights_levels_and_spans() {
        let dim = |text: &str| format!("\x1b[2m{text}\x1b[0m");
        let spans = "\x1b[1mouter\x1b[0m{item=\"a\\nline\"}:\x1b[1minner\x1b[0m:";
        let rest = |text: &str| format!("{} {spans} {} {text}", dim("4bf92f35"), dim("t:"));
        assert_eq!(
            lines(true, work),
            [
                format!("\x1b[0m \x1b[31mERROR\x1b[0m {}", rest("\\u{1b}[2Jerror")),
                format!("\x1b[0m \x1b[33m WARN\x1b[0m {}", rest("warning")),
                format!("\x1b[0m  INFO {}", rest("information")),
                format!("\x1b[0m {} {}", dim("DEBUG"), rest("detail")),
            ]
        );
    }
}
