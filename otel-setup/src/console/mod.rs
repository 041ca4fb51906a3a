//! Traces, metrics and logs on the console: for people to read, or as JSON with one object a line.
//!
//! [`ConsoleSpanExporter`], [`ConsoleMetricExporter`] and [`ConsoleLogExporter`] are exporters for OpenTelemetry's SDK. They write to stdout, or [to what you like](ConsoleSpanExporter::writer):
//! each has a form `pretty()` and one `json()`. [`waterfall`] and [`metrics_table`] make the text of the former from what you have collected yourself.
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
//! // Prints the traces that are not complete, and the metrics as they stand.
//! tracers.shutdown()?;
//! meters.shutdown()?;
//! # Ok::<(), opentelemetry_sdk::error::OTelSdkError>(())
//! ```
//!
#![doc = include_str!("../../docs/console_json.md")]

mod handle;
mod json;
mod logs;
mod metrics;
mod metrics_table;
mod pipeline;
mod spans;
#[cfg(test)]
mod test_support;
mod traces;
mod waterfall;

pub use logs::ConsoleLogExporter;
pub use metrics::ConsoleMetricExporter;
pub use metrics_table::metrics_table;
pub(crate) use pipeline::ConsolePipeline;
pub use spans::ConsoleSpanExporter;
pub use waterfall::waterfall;
