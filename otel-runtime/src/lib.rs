// Markdown takes the first definition of a link. Those at the end of the README are for readers
// outside of rustdoc.
//! [chapters]: crate::docs
// rustdoc has no pictures. This one is empty.
//! [picture]: data:image/gif;base64,R0lGODlhAQABAAAAACw=
// The quick start needs a `.proto` file, which the doctests of `examples` have.
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
// On docs.rs, whose compiler is a nightly one.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attributes;
mod client;
mod clock;
pub mod docs;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
mod guard;
mod instrumentation;
mod intern;
mod layer;
mod limits;
mod method;
mod metrics;
#[doc(hidden)]
pub mod observer;
pub mod propagation;
mod rpc;
mod semconv;
mod server;
mod span;
mod sync;
pub mod task;
mod versions;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
/// Settings of a configuration file, for otel-setup.
#[doc(hidden)]
pub use attributes::header_pattern::is_header_name_or_pattern;
/// Exemplars, for otel-setup: see the chapter on Prometheus there.
#[doc(hidden)]
pub use metrics::exemplars;
#[doc(hidden)]
pub use metrics::{duration_boundaries::set_duration_boundaries, legacy::set_stability_opt_in};
/// The method of log lines, and the target of `ServerLayer::tracing_span`, for otel-setup.
#[doc(hidden)]
pub use rpc::{call::tracing_span::TRACING_SPAN_TARGET, current_method::current_method};

#[doc = include_str!("../docs/traced_service.md")]
pub use otel_macros::traced_service;

#[cfg(feature = "channel")]
pub use client::TracedChannel;
pub use client::{ClientBody, ClientFuture, ClientLayer, ClientService};
pub use instrumentation::{Instrumentation, InstrumentationBuilder};
pub use layer::filter::{self, Filter};
pub use layer::request::RpcRequest;
pub use metrics::duration_boundaries::GRPC_DURATION_BOUNDARIES;
pub use rpc::call_log::LoggedCalls;
pub use server::{ServerBody, ServerFuture, ServerLayer, ServerService, TracedStream};
