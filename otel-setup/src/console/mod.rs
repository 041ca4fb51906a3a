//! Exporters that write traces, metrics and logs to the console, as text or as JSON.
//!
//! [`ConsoleSpanExporter`], [`ConsoleMetricExporter`] and [`ConsoleLogExporter`] are exporters for
//! any setup of OpenTelemetry's SDK. They write to stdout or [another
//! writer](ConsoleSpanExporter::writer), in the format `pretty()` or `json()`: as text, each trace
//! once it is complete, or as JSON, one object per line. Text has colors if it goes to a terminal
//! and `NO_COLOR` is not set. [`waterfall`] and [`metrics_table`] return the text for spans and
//! metrics that the program has collected itself.
//!
//! ```
//! use opentelemetry::global;
//! use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use otel_setup::console::{ConsoleMetricExporter, ConsoleSpanExporter};
//!
//! let tracers = SdkTracerProvider::builder().with_batch_exporter(ConsoleSpanExporter::pretty()).build();
//! global::set_tracer_provider(tracers.clone());
//! let reader = PeriodicReader::builder(ConsoleMetricExporter::pretty()).build();
//! let meters = SdkMeterProvider::builder().with_reader(reader).build();
//! global::set_meter_provider(meters.clone());
//!
//! // …
//!
//! // Writes incomplete traces and the current metrics.
//! tracers.shutdown()?;
//! meters.shutdown()?;
//! # Ok::<(), opentelemetry_sdk::error::OTelSdkError>(())
//! ```
//!
#![doc = include_str!("../../docs/console_json.md")]

mod data_points;
mod handle;
mod json;
mod logs;
mod metrics;
mod metrics_table;
mod monitored;
mod pipeline;
mod spans;
#[cfg(test)]
mod test_support;
mod traces;
mod waterfall;

#[cfg(feature = "zpages")]
pub(crate) use json::span as json_span;
pub use logs::ConsoleLogExporter;
#[cfg(feature = "zpages")]
pub(crate) use logs::show as any_value;
pub use metrics::ConsoleMetricExporter;
pub use metrics_table::metrics_table;
pub(crate) use pipeline::ConsolePipeline;
pub use spans::ConsoleSpanExporter;
#[cfg(any(feature = "testing", feature = "zpages"))]
pub(crate) use waterfall::kind as kind_name;
pub use waterfall::waterfall;
#[cfg(feature = "zpages")]
pub(crate) use waterfall::{WaterfallLine, status_text, waterfall_lines};
