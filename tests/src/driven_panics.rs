//! Parts of the SDK that panic, for the program `driven`.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::{Instrument, Stream};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otel_setup::{Builder, GuardedProcessor};

use crate::panics::{PanickingSampler, panics, quiet};

/// Adds a part that panics: `sampler`, `on_start`, `on_end`, `both`, `set_resource`,
/// `log_processor`, or `view` for the instrument `made.0`.
///
/// # Panics
///
/// If there is no such part.
pub fn configured(builder: Builder, part: &str) -> Builder {
    quiet();
    match part {
        "sampler" => builder.sampler(PanickingSampler),
        "on_start" => builder.configure_tracer_provider(|provider| provider.with_span_processor(Panicking::OnStart)),
        "on_end" => builder.configure_tracer_provider(|provider| provider.with_span_processor(Panicking::OnEnd)),
        "both" => builder
            .configure_tracer_provider(|provider| provider.with_span_processor(GuardedProcessor(Panicking::Both))),
        "set_resource" => {
            builder.configure_tracer_provider(|provider| provider.with_span_processor(Panicking::SetResource))
        }
        "log_processor" => builder.configure_logger_provider(|provider| provider.with_log_processor(Panicking::Emit)),
        "view" => builder.configure_meter_provider(|provider| {
            provider.with_view(|instrument: &Instrument| (instrument.name() == "made.0").then(panics::<Stream>))
        }),
        other => panic!("{other}?"),
    }
}

/// A value whose `Debug` panics, or fails.
enum Unwritable {
    Panics,
    Fails,
}

impl fmt::Debug for Unwritable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::Panics => panics(),
            Unwritable::Fails => Err(fmt::Error),
        }
    }
}

/// Records such values in events, and in spans with an event. Returns the number of panics that
/// reach the program.
#[must_use]
pub fn fields() -> usize {
    std::panic::set_hook(Box::new(|_| {}));
    let met = [Unwritable::Panics, Unwritable::Fails].iter().map(|value| {
        let event = || tracing::info!(?value, "with a field");
        let message = || tracing::info!("{value:?}");
        let new_span = || tracing::info_span!("new", kept = 1, ?value).in_scope(|| tracing::info!("in a span"));
        let recorded = || {
            let span = tracing::info_span!("recorded", kept = 1, value = tracing::field::Empty);
            span.record("value", tracing::field::debug(value));
            span.in_scope(|| tracing::info!("in a span"));
        };
        let all: [&dyn Fn(); 4] = [&event, &message, &new_span, &recorded];
        let panics = all
            .into_iter()
            .filter(|work| catch_unwind(AssertUnwindSafe(work)).is_err());
        panics.count()
    });
    met.sum()
}

/// A processor, named by the method that panics.
#[derive(Clone, Debug)]
enum Panicking {
    OnStart,
    OnEnd,
    Both,
    SetResource,
    Emit,
}

impl SpanProcessor for Panicking {
    fn on_start(&self, _: &mut Span, _: &Context) {
        if let Panicking::OnStart | Panicking::Both = self {
            panics::<()>();
        }
    }

    fn on_end(&self, _: SpanData) {
        if let Panicking::OnEnd | Panicking::Both = self {
            panics::<()>();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, _: &Resource) {
        if let Panicking::SetResource = self {
            panics::<()>();
        }
    }
}

impl LogProcessor for Panicking {
    fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {
        panics::<()>();
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
