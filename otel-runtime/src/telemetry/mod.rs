//! Gets a service's telemetry out: traces, metrics and logs, with one line.
//!
//! ```no_run
//! # use std::time::Duration;
//! # async fn serve() {}
//! # #[cfg(feature = "telemetry")]
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let telemetry = otel_runtime::telemetry::init()?;
//!
//!     serve().await; // until Ctrl-C or SIGTERM: `examples/src/stop.rs`
//!
//!     telemetry.shutdown(Duration::from_secs(5)).await?;
//!     Ok(())
//! }
//! # #[cfg(not(feature = "telemetry"))]
//! # fn main() {}
//! ```
//!
//! `init` needs the cargo feature `telemetry`, which has the console's exporters; `otlp`, which has `telemetry`, sends to a collector, and with `tls` to one behind `https`; `prometheus` lets Prometheus scrape. [`console`] stands for itself, for
//! an SDK that you set up yourself.
//!
//! It sets the global providers and propagator of OpenTelemetry, and a [`tracing`](https://docs.rs/tracing) subscriber, whose events become log records and lines on stdout.
//!
//! # Variables
//!
//! Those of [OpenTelemetry's specification](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), by its rules: an empty value counts as unset, words have no case, and what makes no
//! sense is ignored, with a warning that says what is used instead. What the program says, with a `builder`, wins. What was asked for and cannot be had is an error: an endpoint that is no URL, a certificate that
//! cannot be read.
//!
//! | variable | default | |
//! |---|---|---|
//! | `OTEL_SDK_DISABLED` | `false` | `true`: no traces, metrics or log records. Lines on stdout and the propagators stay |
//! | `OTEL_SERVICE_NAME` | | `service.name`, else that in the next; else `unknown_service:` and the program's name |
//! | `OTEL_RESOURCE_ATTRIBUTES` | | `name=value,…`, percent-encoded. Beside them are those of the SDK, the host, the operating system, the process and the container, and a random `service.instance.id`; never the command line |
//! | `OTEL_PROPAGATORS` | `tracecontext,baggage` | see [`propagation::from_names`](crate::propagation::from_names) |
//! | `OTEL_TRACES_SAMPLER` | `parentbased_always_on` | also `always_on`, `always_off`, `traceidratio`, `parentbased_always_off`, `parentbased_traceidratio` |
//! | `OTEL_TRACES_SAMPLER_ARG` | `1.0` | the ratio |
//! | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp` ¹ | a list of `otlp`, `console` and, for metrics, `prometheus`; or `none` |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` ² | `grpc` ³ | or `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` ² | `http://localhost:4317`, with HTTP `:4318` | with HTTP, `/v1/traces` and so on is added to the general one, and not to a signal's own |
//! | `OTEL_EXPORTER_OTLP_HEADERS` ² | | `name=value,…`, percent-encoded |
//! | `OTEL_EXPORTER_OTLP_TIMEOUT` ² | `10000` | milliseconds for a batch |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` ² | `none` | or `gzip` |
//! | `OTEL_EXPORTER_OTLP_INSECURE` ² | `false` | `true`: a gRPC endpoint without a scheme is `http`, not `https` |
//! | `OTEL_EXPORTER_OTLP_CERTIFICATE` ² | the system's | a file with the certificates that are trusted |
//! | `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`, `…_CLIENT_KEY` ² | | files with what the client shows of itself |
//! | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative` | or `delta`, `lowmemory` |
//! | `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_BLRP_SCHEDULE_DELAY` | `5000`, `1000` | milliseconds that spans, and log records, wait for more |
//! | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BLRP_MAX_QUEUE_SIZE` | `2048` | so many can wait; what comes on top is dropped, and counted |
//! | `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` | `512` | so many are sent at once |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | `60000` | milliseconds |
//! | `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`, `OTEL_SPAN_EVENT_COUNT_LIMIT`, `OTEL_SPAN_LINK_COUNT_LIMIT`, `OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT`, `OTEL_LINK_ATTRIBUTE_COUNT_LIMIT`, `OTEL_ATTRIBUTE_COUNT_LIMIT` | `128` | what a span can hold |
//! | `OTEL_EXPORTER_PROMETHEUS_HOST`, `OTEL_EXPORTER_PROMETHEUS_PORT` | `localhost`, `9464` | where Prometheus finds `/metrics` |
//! | `OTEL_SEMCONV_STABILITY_OPT_IN` | | `rpc/dup`: [the old names as well](crate#beside-the-old-names) |
//! | `RUST_LOG` | `info` | which of `tracing`'s events are for log records and lines, as [`EnvFilter`](https://docs.rs/tracing-subscriber/latest/tracing_subscriber/filter/struct.EnvFilter.html#directives) has it |
//!
//! ¹ Without the cargo feature `otlp`: `console`.
//! ² Also with the signal in its name, which then wins: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
//! ³ The specification would have `http/protobuf`, unless there is a strong reason. There is: whoever is a gRPC service has a gRPC client already.
//!
//! Others that the specification has, but OpenTelemetry's SDK for Rust cannot do, are warned of: limits of the length of values and of log records' attributes, `OTEL_BSP_EXPORT_TIMEOUT`, `OTEL_BLRP_EXPORT_TIMEOUT` (the exporter's timeout
//! holds), `OTEL_METRIC_EXPORT_TIMEOUT`, `OTEL_METRICS_EXEMPLAR_FILTER`, `OTEL_CONFIG_FILE`.

pub mod console;
#[cfg(feature = "telemetry")]
mod set_up;

#[cfg(all(any(test, fuzzing), feature = "otlp"))]
#[doc(hidden)]
pub use set_up::fuzzing as environment;

#[cfg(feature = "otlp")]
pub use set_up::Protocol;
#[cfg(feature = "telemetry")]
pub use set_up::{Builder, Exporter, InitError, LogLines, ShutdownError, Signal, Telemetry, builder, init};
