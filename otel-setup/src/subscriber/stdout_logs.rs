//! Lines on stdout.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt;
use tracing_subscriber::registry::LookupSpan;

use super::json::{Json, NoFields};
use super::pretty::{Pretty, PrettyFields};
use crate::text::stdout_supports_color;

/// How `tracing`'s events are written to stdout, one a line.
///
/// [`Builder::stdout_logs`](crate::Builder::stdout_logs) chooses. `RUST_LOG` says which events these are. A line is written at once, and whole; who reads stdout slowly slows down the service, and who reads it
/// no more does no harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StdoutLogs {
    /// For people: as `tracing-subscriber` writes them, and in a trace the first eight digits of its id.
    ///
    /// ```text
    /// 2026-01-31T23:59:59.999999Z  INFO 4bf92f35 greet{attempt=1}: greeter: greeting name="Ada"
    /// ```
    ///
    /// Control characters are written as escapes, so a message stays one line. Colour is [for terminals](crate::stdout_supports_color).
    #[default]
    Pretty,
    /// For programs: a JSON object a line.
    ///
    /// ```text
    /// {"timestamp":"2026-01-31T23:59:59.999999Z","level":"INFO","target":"greeter","message":"greeting","fields":{"name":"Ada"},
    ///     "trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01"}
    /// ```
    ///
    /// The ids are those of the current OpenTelemetry span, with the names and in the form of
    /// [the specification](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/); outside of a trace they are not there. All else always is: times are RFC 3339, in UTC with
    /// microseconds, a message that there is none of is `""`. Fields are numbers, booleans or strings, and apart from the rest, so each may have any name. A float that is no number is `"NaN"`, `"Infinity"` or `"-Infinity"`,
    /// and bytes are base64, as in OTLP.
    Json,
    /// Not at all.
    Off,
}

impl StdoutLogs {
    pub(super) fn layer<S>(self) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        // Stdout takes each line whole, and at once. That nobody reads it any more is no reason to say so on stderr, where nobody may read either.
        let layer = fmt::layer().with_writer(io::stdout).log_internal_errors(false);
        match self {
            StdoutLogs::Pretty => {
                let human = Pretty::new(stdout_supports_color());
                Some(layer.event_format(human).fmt_fields(PrettyFields).boxed())
            }
            StdoutLogs::Json => Some(layer.event_format(Json).fmt_fields(NoFields).boxed()),
            StdoutLogs::Off => None,
        }
    }
}
