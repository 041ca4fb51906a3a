//! The first of the two stages: the impl.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Error, Ident, ImplItem, ImplItemFn, ItemImpl, Path, Type, parse_quote};

use crate::args::Args;
use crate::handoff::Handoff;
use crate::self_type::StreamTypes;
use crate::service::{self, Name};
use crate::shape::{self, shown_at};
use crate::source;
use crate::traced::Traced;
use crate::valid;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Vec::new();
    let args = Args::parse(args, &mut errors);
    let mut service = match source::service(item.clone()) {
        Ok(service) => service,
        Err(error) => {
            let head = head(&item);
            errors.push(if starts_with_impl(&head) {
                error
            } else {
                Error::new_spanned(head, valid::NOT_A_SERVICE)
            });
            return with_errors(item, &errors);
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
            instrument(&args, options, &trait_path, &mut service);
            source::tokens(service)
        }
        // The impl stays as it was: one mistake makes one error, and no others behind it.
        _ => with_errors(source::tokens(service), &errors),
    }
}

pub(crate) fn methods_mut(service: &mut ItemImpl) -> impl Iterator<Item = &mut ImplItemFn> {
    service.items.iter_mut().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    })
}

// Input:
//     #[tonic::async_trait]
//     impl Chat for MyChat {
//         type TalkStream = X;
//         async fn talk(&self, request: Request<Line>) -> Result<Response<Self::TalkStream>, Status> { … }
//     }
//
// Output:
//     #[tonic::async_trait]
//     impl Chat for MyChat {
//         type TalkStream = ::otel_runtime::TracedStream<X>;
//         #[::otel_runtime::__private::rpc(…)]
//         async fn talk(&self, request: Request<Line>) -> Result<Response<Self::TalkStream>, Status> { … }
//     }
fn instrument(args: &Args, options: Vec<Option<Traced>>, trait_path: &Path, service: &mut ItemImpl) {
    let name = Name::of(args.service.as_ref(), trait_path);
    let rpcs: Vec<Ident> = methods_mut(service)
        .zip(&options)
        .filter_map(|(method, traced)| traced.as_ref().map(|_| method.sig.ident.clone()))
        .collect();
    let stream_types = StreamTypes {
        names: service::stream_types(service, &rpcs),
        runtime: args.runtime.clone().unwrap_or_else(|| parse_quote!(::otel_runtime)),
    };
    wrap_streams(service, &stream_types);
    for (method, traced) in methods_mut(service).zip(options) {
        if let Some(traced) = traced {
            hand_off(args, traced, &name, &stream_types, method);
        }
    }
}

fn wrap_streams(service: &mut ItemImpl, stream_types: &StreamTypes) {
    for item in &mut service.items {
        if let ImplItem::Type(ty) = item
            && stream_types.names.contains(&ty.ident)
        {
            let written = stream_types.unwrap(ty.ty.to_token_stream());
            ty.ty = Type::Verbatim(traced_stream(&stream_types.runtime, &written));
        }
    }
}

/// Leaves the method to the second stage.
fn hand_off(args: &Args, traced: Traced, name: &Name, stream_types: &StreamTypes, method: &mut ImplItemFn) {
    let stream = service::stream_of(&method.sig.ident, &stream_types.names);
    let constructor = name.constructor(&service::rpc_name(&method.sig.ident, stream), &stream_types.runtime);
    let named = traced.name.map(|name| quote!(.with_method(#name)));
    let of_every_method = args.of_every_method();
    if let Some(stream) = stream
        && let Some(output) = shape::output(&mut method.sig)
    {
        name_the_stream(output, stream, stream_types);
    }
    let handoff = Handoff {
        constructor: quote!(#constructor #named #of_every_method),
        streams: stream.is_some(),
        stream_types: stream_types.mentioned_in(method),
        fields: traced.fields.unwrap_or_default(),
        instrumentation: args.instrumentation.clone(),
    };
    let runtime = &stream_types.runtime;
    // Last, so that it sees what the method's other attributes have made of it. Behind it only what the compiler would forget when a macro comes after.
    let is_forgotten = |attribute: &mut Attribute| attribute.path().is_ident("define_opaque");
    let forgotten: Vec<Attribute> = method.attrs.extract_if(.., is_forgotten).collect();
    method.attrs.push(parse_quote!(#[#runtime::__private::rpc(#handoff)]));
    method.attrs.extend(forgotten);
}

/// `TracedStream<X>`, blamed on `X` where that is not a stream.
fn traced_stream(runtime: &Path, written: &TokenStream) -> TokenStream {
    let at = shown_at(written);
    let path = quote!(#runtime::TracedStream).into_iter().map(|mut token| {
        token.set_span(token.span().located_at(at));
        token
    });
    quote_spanned!(at=> #(#path)*<#written>)
}

/// A method that returns its stream's concrete type, or hides it behind an alias, has to return the wrapped one now.
fn name_the_stream(output: &mut Type, stream: &Ident, types: &StreamTypes) {
    let runtime = &types.runtime;
    let written = output.to_token_stream();
    if types.unwrap(written.clone()).to_string() == written.to_string() {
        *output = parse_quote!(::core::result::Result<#runtime::__private::Response<Self::#stream>, #runtime::__private::Status>);
    }
}

/// What comes before the item's body or arguments, without its attributes: `pub struct Name`, `async fn name`.
fn head(tokens: &TokenStream) -> TokenStream {
    let item = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<TokenStream>()
    };
    item.parse2(tokens.clone())
        .unwrap_or_default()
        .into_iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_) | TokenTree::Punct(_)))
        .collect()
}

/// Whether it is an impl, whose syntax errors syn tells best.
fn starts_with_impl(head: &TokenStream) -> bool {
    let first = head.clone().into_iter().next();
    matches!(first, Some(TokenTree::Ident(word)) if word == "impl")
}

fn with_errors(mut item: TokenStream, errors: &[Error]) -> TokenStream {
    item.extend(errors.iter().map(Error::to_compile_error));
    item
}
