//! RPCs at a server are one span and one duration each, with the attribute, the layer, or both.

mod addresses;
mod captured_headers;
mod ends_of_requests;
mod filters;
mod header_patterns;
mod in_production;
mod layer_and_attribute;
mod layer_context;
mod layer_names;
mod layer_options;
mod log_calls;
mod lost_connections;
mod messages;
mod no_sdk;
mod not_grpc;
mod outcomes;
mod outcomes_on_the_wire;
mod rpcs_without_handler;
mod sampling;
mod status_codes;
mod stopped_clock;
mod streaming;
mod tracing_span;
mod unary;
mod versions;
