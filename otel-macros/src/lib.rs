//! The `#[traced_service]` attribute of [`otel-runtime`](https://docs.rs/otel-runtime).
//!
//! `otel-runtime` re-exports the attribute. Depend on that crate, not on this one. Its
//! [chapters](https://docs.rs/otel-runtime/latest/otel_runtime/docs/) explain the
//! [arguments](https://docs.rs/otel-runtime/latest/otel_runtime/docs/arguments/), [what is
//! recorded](https://docs.rs/otel-runtime/latest/otel_runtime/docs/emitted/), [compile
//! errors](https://docs.rs/otel-runtime/latest/otel_runtime/docs/compile_errors/), and everything
//! else.
//!
//! The modules, in the order in which they run:
//!
//! 1. `args` parses the arguments of `#[traced_service(…)]`, and `traced` those of `#[traced(…)]`
//!    on a method. Both use `parse`.
//! 2. `runtime_path` finds otel-runtime in `Cargo.toml`, if the arguments do not tell its path.
//! 3. `source` parses the impl, but leaves the bodies of its methods as tokens.
//! 4. `service` finds the gRPC service in it: its methods, response stream types and names.
//! 5. `valid` checks that the impl is a gRPC service, and reports all errors at once.
//! 6. `expand` wraps the response stream types and adds a second attribute, `#[rpc]`, to each
//!    method. `handoff` holds its arguments.
//! 7. `method` implements `#[rpc]`. Since `#[rpc]` is the last attribute of its method, all others
//!    have been expanded before, and the RPC's span is outside of whatever they added.
//!    `shape` and `self_type` do the rewriting.
//!
//! Only this file uses `proc_macro`. All others use `proc_macro2`, so that unit tests can call
//! them.

use proc_macro::TokenStream;

mod args;
mod expand;
mod handoff;
#[cfg(test)]
mod messages;
mod method;
mod parse;
mod runtime_path;
mod self_type;
mod service;
mod shape;
#[cfg(test)]
mod snapshots;
mod source;
mod traced;
mod valid;

// Editors show this text on hover; they do not know the one at otel-runtime's re-export, which
// rustdoc puts before it.
/// Gives every RPC of a tonic service an OpenTelemetry span and metrics.
///
/// All arguments are optional.
///
/// | argument of `#[traced_service(…)]` | effect |
/// |---|---|
/// | `service = "helloworld.Greeter"` | sets the service's full name, a string or the path of a constant, instead of the name on the wire |
/// | `skip(say_hello, …)` | records no spans and no metrics for these methods, which a `ServerLayer` still records |
/// | `public_endpoint` | treats callers as untrusted: every RPC starts a new trace, linked to the caller's span |
/// | `boxed_streams` | leaves the response stream types as they are written: `Pin<Box<dyn Stream<…> + Send>>` |
/// | `request_headers("x-tenant", …)` | captures these request headers as span attributes |
/// | `response_headers("x-served-by", …)` | captures these response headers |
/// | `response_trailers("x-retry-after", …)` | captures these trailers of failed RPCs |
/// | `instrumentation = self.instrumentation` | records with this `Instrumentation`, instead of the global providers |
/// | `crate = path::to::otel_runtime` | sets the path of otel-runtime, if another crate re-exports it |
///
/// | argument of `#[traced(…)]`, on a method | effect |
/// |---|---|
/// | `skip` | records no spans and no metrics for this method, which a `ServerLayer` still records |
/// | `name = "GetURL"` | sets the method's name, instead of the name on the wire |
/// | `fields(tenant.id = request.get_ref().tenant.as_str(), …)` | adds typed span attributes, made of the request and of `self`; evaluated only if the span is recording |
///
/// [Examples of all arguments](https://docs.rs/otel-runtime/latest/otel_runtime/docs/arguments/) ·
/// [What every RPC emits](https://docs.rs/otel-runtime/latest/otel_runtime/docs/emitted/)
#[proc_macro_attribute]
pub fn traced_service(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(args.into(), item.into()).into()
}

/// Instruments one method. `#[traced_service]` adds this attribute; it is not for use by hand.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn rpc(args: TokenStream, item: TokenStream) -> TokenStream {
    method::expand(args.into(), item.into()).into()
}
