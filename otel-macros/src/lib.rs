//! The attribute of [`otel-runtime`](https://docs.rs/otel-runtime), which re-exports it and documents it. Depend on that crate, not on this one.
//!
//! How it works, in the order it happens:
//!
//! 1. `args` is what was written in `#[traced_service(…)]`, and `traced` what was written in the `#[traced(…)]` of its methods.
//! 2. `source` is the impl below it, without a look at what its methods do.
//! 3. `service` is what that means: its methods, its response streams, its names.
//! 4. `valid` is whether it is a gRPC service, with every mistake in one go.
//! 5. `expand` wraps the response stream types and hands each method to a second attribute, `#[rpc]`.
//! 6. `method` is that second attribute. Because it stands last on its method it sees what every other attribute has made of it, and so puts
//!    the RPC's span outside them.
//!
//! Everything below this file knows only `proc_macro2`, so that unit tests can run it.

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

// Documented, with an example, where users meet it: at its re-export in otel-runtime.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn traced_service(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(args.into(), item.into()).into()
}

/// What `#[traced_service]` puts on each method. Not for use by hand.
#[doc(hidden)]
#[proc_macro_attribute]
pub fn rpc(args: TokenStream, item: TokenStream) -> TokenStream {
    method::expand(args.into(), item.into()).into()
}
