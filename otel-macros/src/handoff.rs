//! The arguments that `#[traced_service]` hands to the `#[rpc]` of each method. Only this file
//! knows their syntax.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseBuffer, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, Path, Result, Token, parenthesized};

use crate::self_type::StreamTypes;
use crate::traced::Field;

/// The arguments of `#[rpc]`, separated by semicolons, in this order:
///
/// ```text
/// path::to::runtime;
/// (CONSTRUCTOR);
/// respond_stream;
/// (ChatStream, TalkStream);
/// ("tenant.id" = EXPR);
/// (INSTRUMENTATION)
/// ```
pub(crate) struct Handoff {
    /// The calls that construct the method's `static`, without the type before the first `::`.
    pub(crate) constructor: TokenStream,
    /// The runtime's method for the kind of the response.
    pub(crate) respond: Ident,
    /// The response stream types that the method mentions, be they its own or another method's, and
    /// the path of the runtime.
    pub(crate) stream_types: StreamTypes,
    /// The span attributes from `#[traced(fields(…))]`.
    pub(crate) fields: Vec<Field>,
    /// The value of `instrumentation`. Without it, the global providers are used.
    pub(crate) instrumentation: Option<Expr>,
}

impl ToTokens for Handoff {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Handoff {
            constructor,
            respond,
            stream_types: StreamTypes { names, runtime },
            fields,
            instrumentation,
        } = self;
        tokens.extend(quote!(#runtime; (#constructor); #respond; (#(#names),*); (#(#fields),*); (#instrumentation)));
    }
}

impl Parse for Handoff {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let runtime = input.call(Path::parse_mod_style)?;
        let constructor = next_group(input)?.parse()?;
        input.parse::<Token![;]>()?;
        let respond = input.parse()?;
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
            respond,
            stream_types: StreamTypes {
                names: names.into_iter().collect(),
                runtime,
            },
            fields: fields.into_iter().collect(),
            instrumentation,
        })
    }
}

/// Parses `; (…)`, and returns the input between the parentheses.
fn next_group(input: ParseStream<'_>) -> Result<ParseBuffer<'_>> {
    input.parse::<Token![;]>()?;
    let content;
    parenthesized!(content in input);
    Ok(content)
}
