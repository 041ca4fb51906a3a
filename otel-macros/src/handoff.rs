//! What `#[traced_service]` tells the `#[rpc]` it puts on each method. Written and read here, nowhere else.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseBuffer, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, LitBool, Path, Result, Token, parenthesized};

use crate::self_type::StreamTypes;
use crate::traced::Field;

/// The arguments of `#[rpc]`: `path::to::runtime; (of(SERVICE, METHOD)); true; (ChatStream, TalkStream); ("tenant.id" = EXPR); (EXPR)`.
pub(crate) struct Handoff {
    /// The calls that make the method's `static`, from its name on: `of(greeter_server::SERVICE_NAME, "SayHello").public_endpoint()`.
    pub(crate) constructor: TokenStream,
    /// Whether the response is of a stream type that the impl names.
    pub(crate) streams: bool,
    /// The response stream types of the impl that the method mentions, which need not be its own. With them, where the runtime is.
    pub(crate) stream_types: StreamTypes,
    /// The span attributes of the method's own.
    pub(crate) fields: Vec<Field>,
    /// What to record with, if not with what is global.
    pub(crate) instrumentation: Option<Expr>,
}

impl ToTokens for Handoff {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Handoff {
            constructor,
            streams,
            stream_types: StreamTypes { names, runtime },
            fields,
            instrumentation,
        } = self;
        tokens.extend(quote!(#runtime; (#constructor); #streams; (#(#names),*); (#(#fields),*); (#instrumentation)));
    }
}

impl Parse for Handoff {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let runtime = input.call(Path::parse_mod_style)?;
        let constructor = next_group(input)?.parse()?;
        input.parse::<Token![;]>()?;
        let streams = input.parse::<LitBool>()?.value;
        let names = next_group(input)?;
        let names = Punctuated::<Ident, Token![,]>::parse_terminated(&names)?;
        let fields = next_group(input)?;
        let fields = Punctuated::<Field, Token![,]>::parse_terminated(&fields)?;
        let instrumentation = next_group(input)?;
        let instrumentation = if instrumentation.is_empty() {
            None
        } else {
            Some(instrumentation.parse()?)
        };
        Ok(Handoff {
            constructor,
            streams,
            stream_types: StreamTypes {
                names: names.into_iter().collect(),
                runtime,
            },
            fields: fields.into_iter().collect(),
            instrumentation,
        })
    }
}

/// What is in the parentheses of `; (…)`.
fn next_group(input: ParseStream<'_>) -> Result<ParseBuffer<'_>> {
    input.parse::<Token![;]>()?;
    let inside;
    parenthesized!(inside in input);
    Ok(inside)
}
