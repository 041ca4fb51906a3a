//! Parses the arguments of `#[traced_service(…)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, LitStr, Path, Result};

use crate::parse;

const ARGUMENTS: [&str; 9] = [
    "service",
    "skip",
    "public_endpoint",
    "boxed_streams",
    "request_headers",
    "response_headers",
    "response_trailers",
    "instrumentation",
    "crate",
];

/// The arguments of `#[traced_service]`, as the user wrote them. `None` if one is not there.
#[derive(Default)]
pub(crate) struct Args {
    /// `service = "helloworld.Greeter"` or `service = path::TO_A_CONSTANT`.
    pub(crate) service: Option<ServiceArg>,
    /// `skip(say_hello, say_goodbye)`.
    pub(crate) skip: Option<Vec<Ident>>,
    /// `public_endpoint`.
    pub(crate) public_endpoint: Option<()>,
    /// `boxed_streams`.
    pub(crate) boxed_streams: Option<()>,
    /// `request_headers("x-tenant")`.
    pub(crate) request_headers: Option<HeaderList>,
    /// `response_headers("x-served-by")`.
    pub(crate) response_headers: Option<HeaderList>,
    /// `response_trailers("x-retry-after")`.
    pub(crate) response_trailers: Option<HeaderList>,
    /// `instrumentation = self.instrumentation`.
    pub(crate) instrumentation: Option<Expr>,
    /// `crate = path::to::otel_runtime`.
    pub(crate) runtime: Option<Path>,
}

/// The value of the argument `service`.
pub(crate) enum ServiceArg {
    Literal(LitStr),
    Constant(Path),
}

impl ToTokens for ServiceArg {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            ServiceArg::Literal(literal) => literal.to_tokens(tokens),
            ServiceArg::Constant(path) => path.to_tokens(tokens),
        }
    }
}

/// Names of headers to capture as span attributes.
pub(crate) struct HeaderList(Vec<LitStr>);

impl Args {
    /// Parses every argument, even after an invalid one, and appends all errors to `errors`.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Vec<Error>) -> Self {
        let mut args = Args::default();
        parse::arguments(tokens, &ARGUMENTS, errors, |name, input| args.parse_one(name, input));
        args
    }

    fn parse_one(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        match name.unraw().to_string().as_str() {
            "service" => {
                let value = parse::value(input, name, "\"helloworld.Greeter\"", service)?;
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
            "boxed_streams" => {
                parse::flag(input, name)?;
                parse::set_once(&mut self.boxed_streams, name, ())
            }
            "request_headers" => parse::set_once(&mut self.request_headers, name, HeaderList::parse(input, name)?),
            "response_headers" => parse::set_once(&mut self.response_headers, name, HeaderList::parse(input, name)?),
            "response_trailers" => parse::set_once(&mut self.response_trailers, name, HeaderList::parse(input, name)?),
            "instrumentation" => {
                let value = parse::value(input, name, "self.instrumentation", instrumentation)?;
                parse::set_once(&mut self.instrumentation, name, value)
            }
            "crate" => {
                let value = parse::value(input, name, "path::to::otel_runtime", crate_path)?;
                parse::set_once(&mut self.runtime, name, value)
            }
            _ => parse::unknown_argument(name, &ARGUMENTS),
        }
    }

    /// Returns true if the argument `skip` lists the method.
    pub(crate) fn skips(&self, method: &Ident) -> bool {
        self.skip
            .iter()
            .flatten()
            .any(|skipped| skipped.unraw() == method.unraw())
    }

    /// Returns the builder calls that every method's `static` shares: `.public_endpoint()…`.
    pub(crate) fn shared_calls(&self) -> TokenStream {
        let public_endpoint = self.public_endpoint.map(|()| quote!(.public_endpoint()));
        let call = |method: TokenStream, headers: &Option<HeaderList>| {
            headers
                .as_ref()
                .map(|HeaderList(names)| quote!(.#method(&[#(#names),*])))
        };
        let request = call(quote!(request_headers), &self.request_headers);
        let response = call(quote!(response_headers), &self.response_headers);
        let trailers = call(quote!(response_trailers), &self.response_trailers);
        quote!(#public_endpoint #request #response #trailers)
    }
}

impl HeaderList {
    fn parse(input: ParseStream<'_>, argument: &Ident) -> Result<Self> {
        let names: Vec<LitStr> = parse::list(input, argument, "\"x-tenant\"")?;
        let mut errors = names.iter().enumerate().filter_map(|(at, name)| {
            let text = name.value();
            let message = if names[..at].iter().any(|earlier| earlier.value() == text) {
                format!("duplicate header `{text}`; write it once")
            } else {
                header_name_error(&text)?
            };
            Some(Error::new(name.span(), message))
        });
        let error = errors.next().map(|mut first| {
            errors.for_each(|error| first.combine(error));
            first
        });
        error.map_or(Ok(HeaderList(names)), Err)
    }
}

/// Texts in the names of headers that hold secrets, as in otel-runtime's `header_pattern.rs`.
const SECRETS: [&str; 23] = [
    "access-key",
    "access_key",
    "api-key",
    "api_key",
    "apikey",
    "auth",
    "bearer",
    "cookie",
    "credential",
    "csrf",
    "jwt",
    "passcode",
    "passphrase",
    "passw",
    "private-key",
    "private_key",
    "pwd",
    "secret",
    "session",
    "signature",
    "subscription-key",
    "token",
    "xsrf",
];

/// Returns why the text is not the name of a gRPC metadata key, which HTTP might still allow, nor a
/// pattern of such names.
fn header_name_error(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("header name must not be empty; expected a name such as `x-tenant`".to_owned());
    }
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        let lowercase = name.to_ascii_lowercase();
        return Some(format!("header name must be lowercase; write `{lowercase}`"));
    }
    let (part, is_pattern) = name.strip_suffix('*').map_or((name, false), |part| (part, true));
    if part.is_empty() || part.contains('*') {
        return Some(
            "`*` must end a pattern, behind the beginning of a name; expected one such as `x-tenant-*`".to_owned(),
        );
    }
    if is_pattern && let Some(secret) = SECRETS.into_iter().find(|secret| part.contains(secret)) {
        return Some(format!(
            "pattern never matches, since headers with `{secret}` in their name hold secrets; write the name of each header"
        ));
    }
    let invalid = part
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.'))?;
    Some(format!(
        "invalid character `{invalid}` in header name; expected lowercase letters, digits, `-`, `_` and `.`"
    ))
}

fn service(input: ParseStream<'_>) -> Result<ServiceArg> {
    if input.peek(LitStr) {
        let literal: LitStr = input.parse()?;
        if let Some(reason) = service_name_error(&literal.value()) {
            return Err(Error::new(
                literal.span(),
                format!("service name must not {reason}; expected the full name, such as `helloworld.Greeter`"),
            ));
        }
        return Ok(ServiceArg::Literal(literal));
    }
    let expected = "expected a string or the path of a string constant, such as `\"helloworld.Greeter\"` or `greeter_server::SERVICE_NAME`";
    let path = Path::parse_mod_style(input).map_err(|error| Error::new(error.span(), expected))?;
    if path.segments.first().is_some_and(|segment| segment.ident == "Self") {
        return Err(Error::new_spanned(
            path,
            "service name must not depend on `Self`; write the name of the type instead",
        ));
    }
    Ok(ServiceArg::Constant(path))
}

/// Returns why the name cannot be the service's part of a request path.
fn service_name_error(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("be empty")
    } else if name.contains('/') {
        Some("contain `/`")
    } else if name.contains(char::is_whitespace) {
        Some("contain whitespace")
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

fn crate_path(input: ParseStream<'_>) -> Result<Path> {
    Path::parse_mod_style(input).map_err(|error| {
        Error::new(
            error.span(),
            "expected the path of the otel-runtime crate, such as `my_crate::otel_runtime`",
        )
    })
}
