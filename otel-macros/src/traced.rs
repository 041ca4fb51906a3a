//! Parses the arguments of `#[traced(…)]` on a method.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, Ident, LitStr, Meta, Result, Token};

use crate::parse;

const ARGUMENTS: [&str; 3] = ["skip", "name", "fields"];

/// Span attributes that the runtime sets.
const RESERVED: [&str; 8] = [
    "rpc.system.name",
    "rpc.method",
    "rpc.status_code",
    "error.type",
    "server.address",
    "server.port",
    "network.peer.address",
    "network.peer.port",
];

/// The arguments of `#[traced]`, as the user wrote them. `None` if one is not there.
#[derive(Default)]
pub(crate) struct Traced {
    /// `skip`.
    pub(crate) skip: Option<()>,
    /// `name = "GetURL"`.
    pub(crate) name: Option<LitStr>,
    /// `fields(tenant.id = request.get_ref().tenant.as_str())`.
    pub(crate) fields: Option<Vec<Field>>,
}

/// The name and value of a span attribute: `tenant.id = request.get_ref().tenant.as_str()`.
pub(crate) struct Field {
    name: LitStr,
    value: Expr,
}

impl Traced {
    /// Removes every `#[traced(…)]` from a method's attributes, and parses them together.
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
                        format!("expected `#[traced(…)]` with one of {}", parse::quoted(&ARGUMENTS)),
                    ));
                    return false;
                }
            };
            parse::arguments(tokens, &ARGUMENTS, errors, |name, input| traced.parse_one(name, input));
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
            _ => parse::unknown_argument(name, &ARGUMENTS),
        }
    }

    fn check(&self, errors: &mut Vec<Error>) {
        if self.skip.is_some() {
            errors.extend(self.check_skipped().err());
        } else {
            self.check_fields(errors);
        }
    }

    /// Reports the first argument that has no effect because the method is skipped.
    fn check_skipped(&self) -> Result<()> {
        let (argument, span) = match (&self.name, self.fields.as_deref()) {
            (Some(name), _) => ("name", name.span()),
            (None, Some([field, ..])) => ("fields", field.name.span()),
            _ => return Ok(()),
        };
        Err(Error::new(
            span,
            format!("`{argument}` has no effect on a skipped method; remove it, or remove `skip`"),
        ))
    }

    /// Reports reserved and duplicate names of span attributes.
    fn check_fields(&self, errors: &mut Vec<Error>) {
        let mut names = Vec::new();
        for Field { name, .. } in self.fields.iter().flatten() {
            let text = name.value();
            if RESERVED.contains(&text.as_str()) {
                errors.push(Error::new(
                    name.span(),
                    format!("`{text}` is set by `#[traced_service]`; choose another name"),
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
    let name: LitStr = input.parse().map_err(|error: Error| {
        Error::new(
            error.span(),
            "expected the method's name on the wire as a string, such as `\"GetURL\"`",
        )
    })?;
    let text = name.value();
    if text.is_empty() || text.contains(|c: char| c == '/' || c.is_whitespace()) {
        return Err(Error::new(
            name.span(),
            "method name must not be empty or contain `/` or whitespace; expected a name such as `GetURL`",
        ));
    }
    Ok(name)
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = if input.peek(LitStr) {
            input.parse()?
        } else {
            dotted_name(input)?
        };
        let text = name.value();
        if text.is_empty() || text.contains(char::is_whitespace) {
            return Err(Error::new(
                name.span(),
                "field name must not be empty or contain whitespace",
            ));
        }
        input.parse::<Token![=]>()?;
        Ok(Field {
            name,
            value: input.parse()?,
        })
    }
}

/// Parses `tenant.id` into a string.
fn dotted_name(input: ParseStream<'_>) -> Result<LitStr> {
    let mut words = Punctuated::<Ident, Token![.]>::new();
    words.push_value(input.call(Ident::parse_any)?);
    while input.peek(Token![.]) {
        words.push_punct(input.parse()?);
        words.push_value(input.call(Ident::parse_any)?);
    }
    let span = words.first().expect("at least one word was parsed").span();
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
    /// Returns the call that creates the span attribute.
    pub(crate) fn attribute(&self, runtime: &syn::Path) -> TokenStream {
        let Field { name, value } = self;
        quote!(#runtime::__private::attribute(#name, #value))
    }
}
