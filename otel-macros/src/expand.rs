//! The first of the two stages: the impl.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Error, Ident, ImplItem, ItemImpl, Path, Type, parse_quote};

use crate::args::Args;
use crate::handoff::Handoff;
use crate::self_type::StreamTypes;
use crate::service::{self, Name};
use crate::shape::Shape;
use crate::valid;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Vec::new();
    let args = Args::parse(args, &mut errors);
    let mut service = match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(service) => service,
        Err(error) => {
            errors.push(if is_impl(&item) {
                error
            } else {
                Error::new_spanned(head(&item), valid::NOT_A_SERVICE)
            });
            return with_errors(&item, &errors);
        }
    };
    let trait_path = valid::check(&mut service, &mut errors);
    match trait_path {
        Some(trait_path) if errors.is_empty() => {
            instrument(&args, &trait_path, &mut service);
            service.into_token_stream()
        }
        // The impl stays as it was: one mistake makes one error, and no others behind it.
        _ => with_errors(&item, &errors),
    }
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
fn instrument(args: &Args, trait_path: &Path, service: &mut ItemImpl) {
    let runtime = args.runtime.clone().unwrap_or_else(|| parse_quote!(::otel_runtime));
    let name = Name::of(args.service.as_ref(), trait_path);
    let stream_types = service::stream_types(service);
    for item in &mut service.items {
        match item {
            ImplItem::Type(ty) => {
                if let Some(written) = stream_types.get(&ty.ident) {
                    ty.ty = Type::Verbatim(quote!(#runtime::TracedStream<#written>));
                }
            }
            ImplItem::Fn(method) => {
                let stream = service::stream_of(&method.sig.ident, &stream_types);
                let constructor = name.constructor(&service::rpc_name(&method.sig.ident, stream));
                if let Some(stream) = stream
                    && let Some(shape) = Shape::of(&mut method.sig, &mut method.block)
                {
                    name_the_stream(shape.output, stream, &stream_types, &runtime);
                }
                let handoff = Handoff {
                    runtime: runtime.clone(),
                    constructor,
                    streams: stream.is_some(),
                    stream_types: stream_types.clone(),
                };
                // Last, so that it sees what the method's other attributes have made of it.
                method.attrs.push(parse_quote!(#[#runtime::__private::rpc(#handoff)]));
            }
            _ => {}
        }
    }
}

/// A method that returns its stream's concrete type, or hides it behind an alias, has to return the wrapped one now.
fn name_the_stream(output: &mut Type, stream: &Ident, types: &StreamTypes, runtime: &Path) {
    let written = output.to_token_stream();
    if types.unwrap(written.clone()).to_string() == written.to_string() {
        *output = parse_quote!(::core::result::Result<#runtime::__private::Response<Self::#stream>, #runtime::__private::Status>);
    }
}

/// Whether the first word behind the attributes is `impl`. (What is wrong with the rest, syn tells better.)
fn is_impl(item: &TokenStream) -> bool {
    let mut words = item.clone().into_iter().filter_map(|token| match token {
        TokenTree::Ident(word) => Some(word),
        _ => None,
    });
    words.next().is_some_and(|word| word == "impl")
}

/// What comes before the item's body or arguments: `struct Name`, `fn name`.
fn head(item: &TokenStream) -> TokenStream {
    item.clone()
        .into_iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_) | TokenTree::Punct(_)))
        .collect()
}

fn with_errors(item: &TokenStream, errors: &[Error]) -> TokenStream {
    let errors = errors.iter().map(Error::to_compile_error);
    quote!(#item #(#errors)*)
}
