//! Expands `#[traced_service]`, the first of two stages, which works on the whole impl.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Ident, ImplItem, ImplItemFn, ItemImpl, Path, Type, parse_quote};

use crate::args::Args;
use crate::handoff::Handoff;
use crate::runtime_path;
use crate::self_type::StreamTypes;
use crate::service::{self, Name, methods_mut};
use crate::shape::{self, call_site_at};
use crate::source;
use crate::traced::Traced;
use crate::valid;

/// Returns the expansion of the impl, or the impl unchanged with all errors after it.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Vec::new();
    let args = Args::parse(args, &mut errors);
    let mut service = match source::parse_impl(item.clone()) {
        Ok(service) => service,
        Err(error) => {
            let head = item_head(&item);
            errors.push(if starts_with_impl(&head) {
                error
            } else {
                Error::new_spanned(head, valid::EXPECTED_SERVICE_IMPL)
            });
            return append_errors(item, &errors);
        }
    };
    // `None` for a method that is skipped.
    let options: Vec<Option<Traced>> = methods_mut(&mut service)
        .map(|method| {
            let traced = Traced::take(&mut method.attrs, &mut errors);
            let is_skipped = traced.skip.is_some() || args.skips(&method.sig.ident);
            (!is_skipped).then_some(traced)
        })
        .collect();
    let trait_path = valid::check(&args, &options, &mut service, &mut errors);
    match trait_path {
        Some(trait_path) if errors.is_empty() => {
            let runtime = args.runtime.clone().map_or_else(runtime_path::find, Ok);
            match runtime {
                Ok(runtime) => {
                    instrument_service(&args, runtime, options, &trait_path, &mut service);
                    source::to_tokens(service)
                }
                Err(error) => append_errors(source::to_tokens(service), &[error]),
            }
        }
        // With the impl unchanged, a mistake causes no further errors from the compiler.
        _ => append_errors(source::to_tokens(service), &errors),
    }
}

// Input:
//     #[tonic::async_trait]
//     impl Chat for MyChat {
//         type TalkStream = X;
//         async fn talk(&self, request: Request<Line>)
//             -> Result<Response<Self::TalkStream>, Status> { … }
//     }
//
// Output:
//     #[tonic::async_trait]
//     impl Chat for MyChat {
//         type TalkStream = ::otel_runtime::TracedStream<X>;
//         #[::otel_runtime::__private::rpc(…)]
//         async fn talk(&self, request: Request<Line>)
//             -> Result<Response<Self::TalkStream>, Status> { … }
//     }
fn instrument_service(
    args: &Args,
    runtime: Path,
    options: Vec<Option<Traced>>,
    trait_path: &Path,
    service: &mut ItemImpl,
) {
    let name = Name::new(args.service.as_ref(), trait_path);
    let rpcs: Vec<Ident> = methods_mut(service)
        .zip(&options)
        .filter_map(|(method, traced)| traced.as_ref().map(|_| method.sig.ident.clone()))
        .collect();
    let declared = service::response_stream_types(service, &rpcs);
    let stream_types = StreamTypes {
        // With `boxed_streams`, no type is changed.
        names: args.boxed_streams.map_or_else(|| declared.clone(), |()| Vec::new()),
        runtime,
    };
    wrap_stream_types(service, &stream_types);
    for (method, traced) in methods_mut(service).zip(options) {
        if let Some(traced) = traced {
            let stream = service::find_stream_type(&declared, &method.sig.ident);
            add_rpc_attribute(args, traced, &name, stream, &stream_types, method);
        }
    }
}

/// Wraps each response stream type of the impl in `TracedStream`.
fn wrap_stream_types(service: &mut ItemImpl, stream_types: &StreamTypes) {
    for item in &mut service.items {
        if let ImplItem::Type(ty) = item
            && stream_types.names.contains(&ty.ident)
        {
            let declared = stream_types.replace_with_untraced(ty.ty.to_token_stream());
            ty.ty = Type::Verbatim(traced_stream_type(&stream_types.runtime, &declared));
        }
    }
}

/// Adds `#[rpc(…)]`, the second stage, to a method.
fn add_rpc_attribute(
    args: &Args,
    traced: Traced,
    name: &Name,
    stream: Option<&Ident>,
    stream_types: &StreamTypes,
    method: &mut ImplItemFn,
) {
    let constructor = name.constructor(&service::rpc_name(&method.sig.ident, stream), &stream_types.runtime);
    let with_method = traced.name.map(|name| quote!(.with_method(#name)));
    let shared_calls = args.shared_calls();
    if let Some(stream) = stream
        && args.boxed_streams.is_none()
        && let Some(output) = shape::output(&mut method.sig)
    {
        set_stream_output(output, stream, stream_types);
    }
    let handoff = Handoff {
        constructor: quote!(#constructor #with_method #shared_calls),
        respond: match (stream, args.boxed_streams) {
            (None, _) => parse_quote!(__respond),
            (Some(_), None) => parse_quote!(respond_stream),
            (Some(_), Some(())) => parse_quote!(respond_boxed_stream),
        },
        stream_types: stream_types.mentioned_in(method),
        fields: traced.fields.unwrap_or_default(),
        instrumentation: args.instrumentation.clone(),
    };
    let runtime = &stream_types.runtime;
    // `#[rpc]` must come last, so that all other attributes have been expanded before it. The one
    // exception is `#[define_opaque]`: the compiler loses it if a macro is expanded after it.
    let is_define_opaque = |attribute: &mut Attribute| attribute.path().is_ident("define_opaque");
    let define_opaque: Vec<Attribute> = method.attrs.extract_if(.., is_define_opaque).collect();
    method.attrs.push(parse_quote!(#[#runtime::__private::rpc(#handoff)]));
    method.attrs.extend(define_opaque);
}

/// Returns `TracedStream<X>`, with the span of `X`: if `X` is not a stream, the error points there.
fn traced_stream_type(runtime: &Path, declared: &TokenStream) -> TokenStream {
    let span = call_site_at(declared);
    let path = quote!(#runtime::TracedStream).into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    quote_spanned!(span=> #(#path)*<#declared>)
}

/// Replaces a return type that does not mention `Self::ChatStream`, but spells out the stream type
/// or hides it behind an alias. The method now returns the wrapped type, which neither of them
/// names.
fn set_stream_output(output: &mut Type, stream: &Ident, types: &StreamTypes) {
    let runtime = &types.runtime;
    let tokens = output.to_token_stream();
    if types.replace_with_untraced(tokens.clone()).to_string() == tokens.to_string() {
        *output = parse_quote!(::core::result::Result<#runtime::__private::Response<Self::#stream>, #runtime::__private::Status>);
    }
}

/// Returns the start of an item, up to its first delimiter or punctuation and without its
/// attributes: `pub struct Name`, `async fn name`.
fn item_head(tokens: &TokenStream) -> TokenStream {
    let without_attributes = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<TokenStream>()
    };
    without_attributes
        .parse2(tokens.clone())
        .unwrap_or_default()
        .into_iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_) | TokenTree::Punct(_)))
        .collect()
}

/// Returns true for an impl. If it does not parse, syn's error explains best why.
fn starts_with_impl(head: &TokenStream) -> bool {
    let first = head.clone().into_iter().next();
    matches!(first, Some(TokenTree::Ident(keyword)) if keyword == "impl")
}

fn append_errors(mut item: TokenStream, errors: &[Error]) -> TokenStream {
    item.extend(errors.iter().map(Error::to_compile_error));
    item
}
