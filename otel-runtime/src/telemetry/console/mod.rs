//! Traces, metrics and logs on the console: for people to read, or as JSON with one object a line.
//!
//! [`ConsoleSpanExporter`], [`ConsoleMetricExporter`] and [`ConsoleLogExporter`] are exporters for OpenTelemetry's SDK. They write to stdout, or [to what you like](ConsoleSpanExporter::writer):
//! each has a form `human()` and one `json()`. [`waterfall`] and [`metrics_table`] make the text of the former from what you have collected yourself.
//!
//! ```
//! use opentelemetry::global;
//! use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use otel_runtime::telemetry::console::{ConsoleMetricExporter, ConsoleSpanExporter};
//!
//! let tracers = SdkTracerProvider::builder().with_batch_exporter(ConsoleSpanExporter::human()).build();
//! global::set_tracer_provider(tracers.clone());
//! let reader = PeriodicReader::builder(ConsoleMetricExporter::human()).build();
//! let meters = SdkMeterProvider::builder().with_reader(reader).build();
//! global::set_meter_provider(meters.clone());
//!
//! // …
//!
//! // Prints the traces that are not complete, and the metrics as they stand.
//! tracers.shutdown()?;
//! meters.shutdown()?;
//! # Ok::<(), opentelemetry_sdk::error::OTelSdkError>(())
//! ```
//!
//! # JSON
//!
//! The fields are those of the console examples in OpenTelemetry's documentation, in that order; times are ISO 8601 in UTC with microseconds. **All fields are there in every object**: an attribute list
//! without attributes is `{}`, a name, version, description or URL that is not set is `""`, anything else that is not there is `null`. The exceptions are `description` in a span's status, which only an
//! error has, and the counts `dropped_…_count`, which are there where something was dropped.
//!
//! Attributes have the type that they were recorded with, and are sorted; of several with one key the last is written. A float that is no number is `"NaN"`, `"Infinity"` or `"-Infinity"`, and bytes are
//! base64, as in OTLP.
//!
//! | a span | |
//! |---|---|
//! | `name` | |
//! | `context` | `trace_id`, `span_id`: hexadecimal, with `0x`; `trace_state`: as in the header |
//! | `kind` | `SpanKind.SERVER` … |
//! | `parent_id` | with `0x`, or `null` |
//! | `start_time`, `end_time` | |
//! | `status` | `status_code`: `UNSET`, `OK` or `ERROR`; `description` |
//! | `attributes` | |
//! | `events` | a list of `name`, `timestamp`, `attributes` |
//! | `links` | a list of `context`, `attributes` |
//! | `resource` | `attributes`, `schema_url` |
//! | `scope` | `name`, `version`, `schema_url`, `attributes` |
//!
//! | a metric | |
//! |---|---|
//! | `resource`, `scope` | as above |
//! | `name`, `description`, `unit` | |
//! | `type` | `gauge`, `sum`, `histogram` or `exponential_histogram` |
//! | `temporality` | `cumulative` or `delta`; `null` for a gauge |
//! | `is_monotonic` | of a sum; `null` for the others |
//! | `points` | a list, each with `attributes`, `start_time`, `time`, and |
//! | | of a gauge or sum: `value` |
//! | | of a histogram: `count`, `sum`, `min`, `max`, `bounds`, `bucket_counts` |
//! | | of an exponential histogram: `count`, `sum`, `min`, `max`, `scale`, `zero_count`, `zero_threshold`, `positive` and `negative` with `offset` and `bucket_counts` each |
//!
//! | a log record | |
//! |---|---|
//! | `timestamp`, `observed_timestamp` | |
//! | `severity_text`, `severity_number` | |
//! | `event_name`, `target` | |
//! | `body` | any JSON |
//! | `attributes` | |
//! | `trace_id`, `span_id`, `trace_flags` | the ids with `0x`, the flags a number; `null` outside spans |
//! | `resource`, `scope` | as above |

#[cfg(test)]
mod by_hand;
mod handle;
mod json;
mod logs;
mod metrics;
mod metrics_table;
mod spans;
pub(super) mod text;
mod traces;
mod waterfall;

pub use logs::ConsoleLogExporter;
pub use metrics::ConsoleMetricExporter;
pub use metrics_table::metrics_table;
pub use spans::ConsoleSpanExporter;
pub use text::stdout_has_colour;
pub use waterfall::waterfall;
