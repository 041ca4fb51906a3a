//! What was written between the parentheses of `#[traced_service(…)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, LitStr, Path, Result};

use crate::parse;

const KNOWN: [&str; 8] = [
    "service",
    "skip",
    "public_endpoint",
    "request_headers",
    "response_headers",
    "response_trailers",
    "instrumentation",
    "crate",
];

/// The arguments of `#[traced_service]`, each as the user spelled it.
#[derive(Default)]
pub(crate) struct Args {
    /// `service = "helloworld.Greeter"` or `service = path::TO_A_CONSTANT`.
    pub(crate) service: Option<ServiceName>,
    /// `skip(say_hello, say_goodbye)`.
    pub(crate) skip: Option<Vec<Ident>>,
    /// `public_endpoint`.
    pub(crate) public_endpoint: Option<()>,
    /// `request_headers("x-tenant")`.
    pub(crate) request_headers: Option<Headers>,
    /// `response_headers("x-served-by")`.
    pub(crate) response_headers: Option<Headers>,
    /// `response_trailers("x-retry-after")`.
    pub(crate) response_trailers: Option<Headers>,
    /// `instrumentation = self.instrumentation`.
    pub(crate) instrumentation: Option<Expr>,
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

/// Names of headers that may be recorded.
pub(crate) struct Headers(Vec<LitStr>);

impl Args {
    /// Reads every argument, also those behind a wrong one, and collects what is wrong into `errors`.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Vec<Error>) -> Self {
        let mut args = Args::default();
        parse::arguments(tokens, &KNOWN, errors, |name, input| args.parse_one(name, input));
        args
    }

    fn parse_one(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.unraw().to_string().as_str() {
            "service" => {
                let value = parse::value(input, name, "\"helloworld.Greeter\"", service_name)?;
                parse::set_once(&mut self.service, name, value)
            }
            "skip" => {
                let methods = parse::list(input, name, "say_hello")?;
                parse::set_once(&mut self.skip, name, methods)
            }
            "public_endpoint" => {
                parse::flag(input, name)?;
                parse::set_once(&mut self.public_endpoint, name, ())
            }
            "request_headers" => parse::set_once(&mut self.request_headers, name, Headers::parse(input, name)?),
            "response_headers" => parse::set_once(&mut self.response_headers, name, Headers::parse(input, name)?),
            "response_trailers" => parse::set_once(&mut self.response_trailers, name, Headers::parse(input, name)?),
            "instrumentation" => {
                let value = parse::value(input, name, "self.instrumentation", instrumentation)?;
                parse::set_once(&mut self.instrumentation, name, value)
            }
            "crate" => {
                let value = parse::value(input, name, "path::to::otel_runtime", path)?;
                parse::set_once(&mut self.runtime, name, value)
            }
            _ => parse::unknown(name, &KNOWN),
        }
    }

    /// Whether `skip` names the method.
    pub(crate) fn skips(&self, method: &Ident) -> bool {
        self.skip
            .iter()
            .flatten()
            .any(|skipped| skipped.unraw() == method.unraw())
    }

    /// The calls that tell a method's `static` what holds for the whole service: `.public_endpoint()…`.
    pub(crate) fn of_every_method(&self) -> TokenStream {
        let public_endpoint = self.public_endpoint.map(|()| quote!(.public_endpoint()));
        let list = |call: TokenStream, headers: &Option<Headers>| {
            headers.as_ref().map(|Headers(names)| quote!(.#call(&[#(#names),*])))
        };
        let request = list(quote!(request_headers), &self.request_headers);
        let response = list(quote!(response_headers), &self.response_headers);
        let trailers = list(quote!(response_trailers), &self.response_trailers);
        quote!(#public_endpoint #request #response #trailers)
    }
}

impl Headers {
    fn parse(input: ParseStream<'_>, argument: &Ident) -> Result<Self> {
        let names: Vec<LitStr> = parse::list(input, argument, "\"x-tenant\"")?;
        let mut mistakes = names.iter().enumerate().filter_map(|(at, name)| {
            let text = name.value();
            let mistake = if names[..at].iter().any(|earlier| earlier.value() == text) {
                format!("duplicate header `{text}`; write it once")
            } else if text.is_empty() {
                "a header's name cannot be empty".to_owned()
            } else if text.contains(|c: char| c.is_ascii_uppercase()) {
                format!("a header's name is lower case: `{}`", text.to_ascii_lowercase())
            } else if let Some(illegal) = text.chars().find(|c| !is_legal_in_a_header(*c)) {
                format!("a header's name has no `{illegal}`; expected lower-case letters, digits, `-`, `_` and `.`")
            } else {
                return None;
            };
            Some(Error::new(name.span(), mistake))
        });
        let mistake = mistakes.next().map(|mut first| {
            mistakes.for_each(|mistake| first.combine(mistake));
            first
        });
        mistake.map_or(Ok(Headers(names)), Err)
    }
}

/// As gRPC has it for metadata; HTTP would allow more.
fn is_legal_in_a_header(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.')
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

/// Why it cannot be the service's part of a path.
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

fn instrumentation(input: ParseStream<'_>) -> Result<Expr> {
    input.parse().map_err(|error: Error| {
        Error::new(
            error.span(),
            "expected an expression of type `Instrumentation`, such as `self.instrumentation`",
        )
    })
}

fn path(input: ParseStream<'_>) -> Result<Path> {
    Path::parse_mod_style(input).map_err(|error| {
        Error::new(
            error.span(),
            "expected the path of the otel-runtime crate, such as `my_crate::otel_runtime`",
        )
    })
}
