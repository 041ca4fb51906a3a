//! `otel_setup`: variables, exporters, log lines, and the shutdown.

mod batching;
mod console;
mod custom_subscriber;
mod environment;
mod instrumented_spans;
mod lifecycle;
mod log_lines;
mod log_records;
mod log_trace_ids;
mod no_exporters;
mod otlp_answers;
mod otlp_counts;
mod otlp_outage_logged_once;
mod otlp_recovery;
mod otlp_shutdown;
mod otlp_slow_receivers;
mod otlp_tls;
mod otlp_variables;
mod prometheus;
mod prometheus_connections;
mod prometheus_exemplars;
mod prometheus_formats;
mod prometheus_names;
mod rust_log;
mod subscriber_already_set;
mod suppressed_events;
