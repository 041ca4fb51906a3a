//! RPCs of an instrumented client are one span and one duration each.

mod in_process;
mod interceptors;
mod middleware;
mod names;
mod no_sdk;
mod options;
mod outcomes;
mod request_stream;
mod status_codes;
mod streams;
mod suppression;
mod target;
mod transport_errors;
