//! RPCs of an instrumented client are one span and one duration each.

mod both_sides;
mod ends_behind_a_proxy;
mod ends_of_connections;
mod in_process;
mod interceptors;
mod log_calls;
mod middleware;
mod names;
mod no_sdk;
mod options;
mod outcomes;
mod refused_messages;
mod request_stream;
mod status_codes;
mod streams;
mod suppression;
mod target;
mod transport_errors;
