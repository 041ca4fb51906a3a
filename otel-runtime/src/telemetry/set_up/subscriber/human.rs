//! Lines for people.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::super::super::console::text::{Paint, clean};
use super::event::{current_span, name_of, now};

/// As `tracing-subscriber` writes them, and the beginning of the trace's id.
pub(super) struct Human {
    paint: Paint,
}

impl Human {
    pub(super) fn new(colour: bool) -> Self {
        Human {
            paint: Paint { colour },
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

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let of_log = event.normalized_metadata();
        let metadata = of_log.as_ref().unwrap_or_else(|| event.metadata());
        write!(to, "{} {} ", self.paint.dim(&now()), self.level(*metadata.level()))?;
        if let Some(span) = current_span() {
            let trace = span.trace_id().to_string();
            write!(to, "{} ", self.paint.dim(&trace[..8]))?;
        }
        let mut is_in_span = false;
        let scope = context.event_scope().map(Scope::from_root);
        for span in scope.into_iter().flatten() {
            to.write_str(&self.paint.bold(span.name()))?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && !fields.is_empty()
            {
                write!(to, "{{{fields}}}")?;
            }
            to.write_char(':')?;
            is_in_span = true;
        }
        if is_in_span {
            to.write_char(' ')?;
        }
        write!(to, "{} ", self.paint.dim(&format!("{}:", metadata.target())))?;
        context.format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}

/// `name=value`, and the message as it is.
pub(super) struct HumanFields;

impl<'w> FormatFields<'w> for HumanFields {
    fn format_fields<R: RecordFields>(&self, to: Writer<'w>, fields: R) -> fmt::Result {
        let mut written = Written {
            to,
            is_first: true,
            outcome: Ok(()),
        };
        fields.record(&mut written);
        written.outcome
    }
}

struct Written<'w> {
    to: Writer<'w>,
    is_first: bool,
    outcome: fmt::Result,
}

impl Written<'_> {
    fn put(&mut self, field: &Field, value: &str) {
        let Some(name) = name_of(field) else { return };
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        // A line stays one.
        let value = clean(value);
        let written = match name {
            "message" => write!(self.to, "{space}{value}"),
            name => write!(self.to, "{space}{name}={value}"),
        };
        self.outcome = self.outcome.and(written);
    }
}

impl Visit for Written<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.put(field, value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, &value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}
