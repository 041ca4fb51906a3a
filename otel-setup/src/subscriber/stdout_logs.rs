//! The layer that writes events to stdout.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt;
use tracing_subscriber::registry::LookupSpan;

#[cfg(feature = "json")]
use super::json::{Json, JsonFields};
use super::pretty::{Pretty, PrettyFields};
use crate::text::stdout_supports_color;

/// The format of `tracing` events on stdout, one line per event.
///
/// Set it with [`Builder::stdout_logs`](crate::Builder::stdout_logs). `RUST_LOG` filters the
/// events. Each line is written with one blocking call: a slow reader of stdout slows the service
/// down. A closed stdout is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StdoutLogs {
    /// Text: the format of `tracing-subscriber`, with the first eight digits of the trace id, and
    /// the method of the RPC.
    ///
    /// ```text
    /// 2026-01-31T23:59:59.999999Z  INFO 4bf92f35 helloworld.Greeter/SayHello:greet{attempt=1}: greeter: greeting name="Ada"
    /// ```
    ///
    /// Control characters are escaped, so every event is one line. Lines are colored if
    /// [stdout supports it](crate::stdout_supports_color).
    #[default]
    Pretty,
    /// JSON: one object per line.
    ///
    /// ```text
    /// {"timestamp":"2026-01-31T23:59:59.999999Z","level":"INFO","target":"greeter",
    ///     "message":"greeting","fields":{"name":"Ada"},"spans":[{"name":"greet","fields":{"attempt":1}}],
    ///     "rpc.method":"helloworld.Greeter/SayHello",
    ///     "trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","trace_flags":"01"}
    /// ```
    ///
    /// The ids are those of the current OpenTelemetry span, named and formatted as [the
    /// specification](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/)
    /// requires. They are absent outside of spans. `spans` are the enclosing `tracing` spans, from
    /// the outermost, and absent outside of them or
    /// [without their fields](crate::Builder::without_span_fields). `rpc.method` is the RPC that a
    /// `ServerLayer` or `#[traced_service]` records around the event, also in tasks that
    /// [`otel_runtime::task`] starts. It is absent outside of RPCs, and before the method is known.
    /// All other members are always present.
    ///
    /// Times are RFC 3339 in UTC with microseconds. A missing message is `""`. Fields are numbers,
    /// booleans or strings in an object of their own, so their names cannot collide with other
    /// members. As in OTLP, floats without a JSON number are `"NaN"`, `"Infinity"` or
    /// `"-Infinity"`, and bytes are base64.
    #[cfg(feature = "json")]
    Json,
    /// No lines.
    Off,
}

impl StdoutLogs {
    pub(super) fn layer<S>(self, span_fields: bool) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        // A closed stdout would otherwise cause a line on stderr for every event.
        let layer = fmt::layer().with_writer(io::stdout).log_internal_errors(false);
        match self {
            StdoutLogs::Pretty => {
                let format = Pretty::new(stdout_supports_color(), span_fields);
                Some(layer.fmt_fields(PrettyFields).event_format(format).boxed())
            }
            #[cfg(feature = "json")]
            StdoutLogs::Json => Some(layer.fmt_fields(JsonFields).event_format(Json { span_fields }).boxed()),
            StdoutLogs::Off => None,
        }
    }
}
