//! What was written between the parentheses of `#[traced_service(…)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Ident, LitStr, Path, Result, Token};

const KNOWN: &str = "`service`, `crate`";

/// The arguments of `#[traced_service]`, each as the user spelled it.
#[derive(Default)]
pub(crate) struct Args {
    /// `service = "helloworld.Greeter"` or `service = path::TO_A_CONSTANT`.
    pub(crate) service: Option<ServiceName>,
    /// `crate = path::to::otel_runtime`.
    pub(crate) runtime: Option<Path>,
}

pub(crate) enum ServiceName {
    Literal(LitStr),
    Constant(Path),
}

impl ToTokens for ServiceName {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            ServiceName::Literal(literal) => literal.to_tokens(tokens),
            ServiceName::Constant(path) => path.to_tokens(tokens),
        }
    }
}

impl Args {
    /// Reads every argument, also those behind a wrong one, and collects what is wrong into `errors`.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Vec<Error>) -> Self {
        let mut args = Args::default();
        for argument in split_at_commas(tokens) {
            let parse = |input: ParseStream<'_>| args.parse_one(input);
            if let Err(error) = parse.parse2(argument) {
                errors.push(error);
            }
        }
        args
    }

    fn parse_one(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name = input.call(Ident::parse_any).map_err(|error| {
            Error::new(
                error.span(),
                format!("expected one of {KNOWN}, as in `service = \"helloworld.Greeter\"`"),
            )
        })?;
        match name.unraw().to_string().as_str() {
            "service" => set_once(
                &mut self.service,
                &name,
                value(input, &name, "\"helloworld.Greeter\"", service_name)?,
            ),
            "crate" => set_once(
                &mut self.runtime,
                &name,
                value(input, &name, "path::to::otel_runtime", path)?,
            ),
            unknown => Err(Error::new(
                name.span(),
                format!("unknown argument `{unknown}`; expected one of {KNOWN}"),
            )),
        }
    }
}

fn set_once<T>(slot: &mut Option<T>, name: &Ident, value: T) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::new(
            name.span(),
            format!("duplicate argument `{name}`; write it once"),
        ));
    }
    Ok(())
}

/// Parses `= VALUE` to the end of the argument. `example` is what to write instead of something else.
fn value<T>(input: ParseStream<'_>, name: &Ident, example: &str, parse: fn(ParseStream<'_>) -> Result<T>) -> Result<T> {
    if !input.peek(Token![=]) {
        return Err(Error::new(
            name.span(),
            format!("expected a value: `{name} = {example}`"),
        ));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() {
        return Err(Error::new(
            name.span(),
            format!("expected a value: `{name} = {example}`"),
        ));
    }
    let value = parse(input)?;
    if input.is_empty() {
        Ok(value)
    } else {
        Err(input.error(format!(
            "unexpected token after the value of `{name}`; expected `,` or nothing"
        )))
    }
}

fn service_name(input: ParseStream<'_>) -> Result<ServiceName> {
    if input.peek(LitStr) {
        let literal: LitStr = input.parse()?;
        if let Some(reason) = not_a_service_name(&literal.value()) {
            return Err(Error::new(
                literal.span(),
                format!("{reason}; expected the service's full name, such as `helloworld.Greeter`"),
            ));
        }
        return Ok(ServiceName::Literal(literal));
    }
    let expected = "expected a string or the path of a string constant, such as `\"helloworld.Greeter\"` or `greeter_server::SERVICE_NAME`";
    let path = Path::parse_mod_style(input).map_err(|error| Error::new(error.span(), expected))?;
    if path.segments.first().is_some_and(|segment| segment.ident == "Self") {
        return Err(Error::new_spanned(
            path,
            "a service's name is a constant that does not depend on `Self`; name the type instead",
        ));
    }
    Ok(ServiceName::Constant(path))
}

fn not_a_service_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("a service's name cannot be empty")
    } else if name.contains('/') {
        Some("a service's name has no `/`")
    } else if name.contains(char::is_whitespace) {
        Some("a service's name has no white space")
    } else {
        None
    }
}

fn path(input: ParseStream<'_>) -> Result<Path> {
    Path::parse_mod_style(input).map_err(|error| {
        Error::new(
            error.span(),
            "expected the path of the otel-runtime crate, such as `my_crate::otel_runtime`",
        )
    })
}

/// The arguments one by one, so that a mistake in one does not hide those in the next.
fn split_at_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let mut arguments = vec![TokenStream::new()];
    for token in tokens {
        match &token {
            TokenTree::Punct(comma) if comma.as_char() == ',' => arguments.push(TokenStream::new()),
            _ => arguments.last_mut().expect("starts with one").extend([token]),
        }
    }
    arguments.retain(|argument| !argument.is_empty());
    arguments
}
