//! The `#[traced_service]` attribute of [`otel-runtime`](https://docs.rs/otel-runtime).
//!
//! `otel-runtime` re-exports and documents the attribute. Depend on that crate, not on this one.
//!
//! The modules, in the order in which they run:
//!
//! 1. `args` parses the arguments of `#[traced_service(…)]`, and `traced` those of `#[traced(…)]`
//!    on a method. Both use `parse`.
//! 2. `source` parses the impl, but leaves the bodies of its methods as tokens.
//! 3. `service` finds the gRPC service in it: its methods, response stream types and names.
//! 4. `valid` checks that the impl is a gRPC service, and reports all errors at once.
//! 5. `expand` wraps the response stream types and adds a second attribute, `#[rpc]`, to each
//!    method. `handoff` holds its arguments.
//! 6. `method` implements `#[rpc]`. Since `#[rpc]` is the last attribute of its method, all others
//!    have been expanded before, and the RPC's span is outside of whatever they added.
//!    `shape` and `self_type` do the rewriting.
//!
//! Only this file uses `proc_macro`. All others use `proc_macro2`, so that unit tests can call
//! them.

use proc_macro::TokenStream;

mod args;
mod expand;
mod handoff;
mod method;
mod parse;
mod self_type;
mod service;
mod shape;
#[cfg(test)]
mod snapshots;
mod source;
mod traced;
mod valid;

// otel-runtime documents the attribute at its re-export, with compiled examples.
#[allow(missing_docs)]
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
