//! What `#[traced_service]` tells the `#[rpc]` it puts on each method. Written and read here, nowhere else.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{LitBool, Path, Result, Token, parenthesized};

use crate::self_type::StreamTypes;

/// The arguments of `#[rpc]`: `path::to::runtime; (of(SERVICE, METHOD)); true; ChatStream, TalkStream`.
pub(crate) struct Handoff {
    /// The call that makes the method's `static`, from its name on: `of(greeter_server::SERVICE_NAME, "SayHello")`.
    pub(crate) constructor: TokenStream,
    /// Whether the response is of a stream type that the impl names.
    pub(crate) streams: bool,
    /// All the response stream types of the impl: any method may mention any of them. With them, where the runtime is.
    pub(crate) stream_types: StreamTypes,
}

impl ToTokens for Handoff {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Handoff {
            constructor,
            streams,
            stream_types: StreamTypes { names, runtime },
        } = self;
        tokens.extend(quote!(#runtime; (#constructor); #streams; #(#names),*));
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
        let streams = input.parse::<LitBool>()?.value;
        input.parse::<Token![;]>()?;
        let names = Punctuated::<Ident, Token![,]>::parse_terminated(input)?;
        let stream_types = StreamTypes {
            names: names.into_iter().collect(),
            runtime,
        };
        Ok(Handoff {
            constructor,
            streams,
            stream_types,
        })
    }
}
