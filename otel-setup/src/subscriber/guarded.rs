//! A layer around one of other software, for fields whose `Debug` or `Display` panics or fails.
//!
//! Without it, the panic would unwind into the handler that logs, and end its RPC. A panic in
//! `on_record` would end the process: the layer holds a lock of the span, which is poisoned then.
//! The next layer panics at it when the span is dropped while the first panic unwinds.

use std::error::Error;
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::panic_guard::FIELD;

/// A layer that records events and the fields of spans.
pub(super) struct Guarded<L>(pub(super) L);

impl<S: Subscriber, L: Layer<S>> Layer<S> for Guarded<L> {
    fn on_layer(&mut self, subscriber: &mut S) {
        self.0.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(metadata, context)
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.0.event_enabled(event, context)
    }

    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        FIELD.run(|| self.0.on_new_span(span, id, context));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if FIELD.run(|| can_be_written(values)) == Some(true) {
            FIELD.run(|| self.0.on_record(id, values, context));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        FIELD.run(|| self.0.on_event(event, context));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.0.on_close(id, context);
    }
}

/// Returns whether all values can be written: `format!` panics if one fails.
fn can_be_written(values: &Record<'_>) -> bool {
    let mut rehearsal = Rehearsal(Ok(()));
    values.record(&mut rehearsal);
    rehearsal.0.is_ok()
}

/// Writes values to nowhere.
struct Rehearsal(fmt::Result);

impl Visit for Rehearsal {
    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_i128(&mut self, _: &Field, _: i128) {}

    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_bool(&mut self, _: &Field, _: bool) {}

    fn record_str(&mut self, _: &Field, _: &str) {}

    fn record_bytes(&mut self, _: &Field, _: &[u8]) {}

    fn record_error(&mut self, _: &Field, value: &(dyn Error + 'static)) {
        self.0 = self.0.and(write!(Nowhere, "{value}"));
    }

    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0 = self.0.and(write!(Nowhere, "{value:?}"));
    }
}

struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, _: &str) -> fmt::Result {
        Ok(())
    }
}
