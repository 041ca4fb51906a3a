//! What was written between the parentheses of `#[traced(…)]` on a method.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, Ident, LitStr, Meta, Result, Token};

use crate::parse;

const KNOWN: [&str; 3] = ["skip", "name", "fields"];

/// The attributes that the runtime sets itself.
const TAKEN: [&str; 8] = [
    "rpc.system.name",
    "rpc.method",
    "rpc.status_code",
    "error.type",
    "server.address",
    "server.port",
    "network.peer.address",
    "network.peer.port",
];

/// The arguments of `#[traced]`, each as the user spelled it.
#[derive(Default)]
pub(crate) struct Traced {
    /// `skip`.
    pub(crate) skip: Option<()>,
    /// `name = "GetURL"`.
    pub(crate) name: Option<LitStr>,
    /// `fields(tenant.id = request.get_ref().tenant.as_str())`.
    pub(crate) fields: Option<Vec<Field>>,
}

/// `tenant.id = request.get_ref().tenant.as_str()`: an attribute of the span, and its value.
pub(crate) struct Field {
    name: LitStr,
    value: Expr,
}

impl Traced {
    /// Takes `#[traced(…)]` off a method.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, errors: &mut Vec<Error>) -> Self {
        let mut traced = Traced::default();
        attributes.retain(|attribute| {
            if !attribute.path().is_ident("traced") {
                return true;
            }
            let tokens = match &attribute.meta {
                Meta::List(list) => list.tokens.clone(),
                other => {
                    errors.push(Error::new_spanned(
                        other,
                        format!("expected `#[traced(…)]` with one of {}", parse::quoted(&KNOWN)),
                    ));
                    return false;
                }
            };
            parse::arguments(tokens, &KNOWN, errors, |name, input| traced.parse_one(name, input));
            false
        });
        traced.check(errors);
        traced
    }

    fn parse_one(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.unraw().to_string().as_str() {
            "skip" => {
                parse::flag(input, name)?;
                parse::set_once(&mut self.skip, name, ())
            }
            "name" => {
                let value = parse::value(input, name, "\"GetURL\"", method_name)?;
                parse::set_once(&mut self.name, name, value)
            }
            "fields" => {
                let fields = parse::list(input, name, "tenant.id = request.get_ref().tenant.as_str()")?;
                parse::set_once(&mut self.fields, name, fields)
            }
            _ => parse::unknown(name, &KNOWN),
        }
    }

    fn check(&self, errors: &mut Vec<Error>) {
        let fields = self.fields.iter().flatten();
        if self.skip.is_some() {
            let useless = self.name.iter().chain(fields.map(|field| &field.name));
            errors.extend(useless.take(1).map(|name| {
                Error::new(
                    name.span(),
                    "a method that is skipped has no span; remove `skip`, or this",
                )
            }));
            return;
        }
        let mut names = Vec::new();
        for Field { name, .. } in fields {
            let text = name.value();
            if TAKEN.contains(&text.as_str()) {
                errors.push(Error::new(
                    name.span(),
                    format!("`{text}` is set by the attribute itself; choose another name"),
                ));
            } else if names.contains(&text) {
                errors.push(Error::new(
                    name.span(),
                    format!("duplicate field `{text}`; write it once"),
                ));
            }
            names.push(text);
        }
    }
}

fn method_name(input: ParseStream<'_>) -> Result<LitStr> {
    let expected = "expected the method's name on the wire, such as `\"GetURL\"`";
    let name: LitStr = input
        .parse()
        .map_err(|error: Error| Error::new(error.span(), expected))?;
    let text = name.value();
    if text.is_empty() || text.contains(|c: char| c == '/' || c.is_whitespace()) {
        return Err(Error::new(name.span(), expected));
    }
    Ok(name)
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = if input.peek(LitStr) {
            input.parse()?
        } else {
            dotted(input)?
        };
        let text = name.value();
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(Error::new(
                name.span(),
                "the name of a field is neither empty nor has white space",
            ));
        }
        input.parse::<Token![=]>()?;
        Ok(Field {
            name,
            value: input.parse()?,
        })
    }
}

/// `tenant.id`, as a string.
fn dotted(input: ParseStream<'_>) -> Result<LitStr> {
    let mut words = Punctuated::<Ident, Token![.]>::new();
    words.push_value(input.call(Ident::parse_any)?);
    while input.peek(Token![.]) {
        words.push_punct(input.parse()?);
        words.push_value(input.call(Ident::parse_any)?);
    }
    let span = words.first().expect("it has one").span();
    let words: Vec<String> = words.iter().map(|word| word.unraw().to_string()).collect();
    Ok(LitStr::new(&words.join("."), span))
}

impl ToTokens for Field {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Field { name, value } = self;
        tokens.extend(quote!(#name = #value));
    }
}

impl Field {
    /// The call that makes the attribute.
    pub(crate) fn attribute(&self, runtime: &syn::Path) -> TokenStream {
        let Field { name, value } = self;
        quote!(#runtime::__private::attribute(#name, #value))
    }
}
