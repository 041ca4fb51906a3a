//! What `#[traced_service]` tells the `#[rpc]` it puts on each method. Written and read here, nowhere else.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Path, Result, Token, Type, braced, parenthesized};

use crate::self_type::StreamTypes;

/// The arguments of `#[rpc]`: `PATH::TO::RUNTIME; CONSTRUCTOR; END; { ChatStream = X, … }`.
pub(crate) struct Handoff {
    /// Where the runtime is: `::otel_runtime`.
    pub(crate) runtime: Path,
    /// The call that makes the method's `static`, from its name on: `of(greeter_server::SERVICE_NAME, "SayHello")`.
    pub(crate) constructor: TokenStream,
    /// Whether the response is of a stream type that the impl names.
    pub(crate) streams: bool,
    /// All the response stream types of the impl: any method may mention any of them.
    pub(crate) stream_types: StreamTypes,
}

impl ToTokens for Handoff {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Handoff {
            runtime,
            constructor,
            streams,
            stream_types,
        } = self;
        let types = stream_types.0.iter().map(|(name, ty)| quote!(#name = #ty,));
        tokens.extend(quote!(#runtime; (#constructor); #streams; { #(#types)* }));
    }
}

impl Parse for Handoff {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let runtime = input.call(Path::parse_mod_style)?;
        input.parse::<Token![;]>()?;
        let constructor;
        parenthesized!(constructor in input);
        let constructor = constructor.parse()?;
        input.parse::<Token![;]>()?;
        let streams = input.parse::<syn::LitBool>()?.value;
        input.parse::<Token![;]>()?;
        let types;
        braced!(types in input);
        let mut stream_types = StreamTypes::default();
        while !types.is_empty() {
            let name: Ident = types.parse()?;
            types.parse::<Token![=]>()?;
            let ty: Type = types.parse()?;
            types.parse::<Token![,]>()?;
            stream_types.0.push((name, ty.into_token_stream()));
        }
        Ok(Handoff {
            runtime,
            constructor,
            streams,
            stream_types,
        })
    }
}
