//! Expands `#[rpc]`, the second of two stages, which works on one method. All other attributes of
//! the method have been expanded before.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parser;
use syn::{Error, Expr, FnArg, Ident, ImplItemFn, Pat, PatIdent, PatType, Path, Result, Signature, parse_quote};

use crate::handoff::Handoff;
use crate::shape::{self, call_site_at};
use crate::source;
use crate::traced::Field;

/// Returns the instrumented method, or the method unchanged with an error after it.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    instrument_method(args, item.clone()).map_or_else(
        // An impl may contain macro calls, and so `compile_error!`.
        |error| item.into_iter().chain(error.to_compile_error()).collect(),
        ImplItemFn::into_token_stream,
    )
}

// Input:
//     async fn say_hello(&self, request: Request<HelloRequest>) -> R { BODY }
//
// Output:
//     async fn say_hello(&self, request: Request<HelloRequest>) -> R {
//         use ::otel_runtime::__private::RespondUnboxed as _;
//         static __RPC: ::otel_runtime::__private::MethodDescriptor =
//             ::otel_runtime::__private::MethodDescriptor::for_trait("Greeter", "SayHello");
//         (&__RPC).returning::<R>().unboxed().__respond(move |__call| {
//             *__call = (&__RPC).start(&request);
//             async move {
//                 if false { return ::otel_runtime::__private::type_hint::<R>(); }
//                 { BODY }
//             }
//         }).await
//     }
// If `#[async_trait]` has been expanded before, the method returns `Box::pin(async move { BODY })`.
// The output then replaces that expression, with `RespondUnary` and without `.unboxed()` and
// `.await`, since its `__respond` returns a boxed future too.
//
// The `return` that never runs fixes the type of the block from inside. If the type came from
// outside (`let r: R`, `-> R`, a turbofish), the compiler would not coerce
// `Ok(Response::new(Box::pin(stream)))` to it (rust-lang/rust#145105). async_trait's output starts
// with such a `return` already.
//
// The braces around BODY are the user's. Its imports and items are out of scope for R, and its
// temporaries are dropped by the rules of its own edition.
//
// No trait in the user's scope can take a call away: the receiver has the very type that an
// inherent method takes. (On `__RPC` without `&`, a blanket trait's `fn start(self)` would come
// first.) The one method of a trait, `__respond`, has a name that no user's trait has.
fn instrument_method(args: TokenStream, item: TokenStream) -> Result<ImplItemFn> {
    let Handoff {
        constructor,
        respond,
        stream_types,
        fields,
        instrumentation,
    } = syn::parse2(args)?;
    let runtime = &stream_types.runtime;
    let mut method = source::parse_method.parse2(item)?;
    let name = method.sig.ident.clone();
    let (request, destructure) = request_argument(&mut method)?;
    let Some(output) = shape::output(&mut method.sig) else {
        return Err(changed_by_another_attribute(&name));
    };
    // The trait expects the wrapped stream type, but the statements return the declared one.
    let output_span = call_site_at(output);
    let output = stream_types.replace_with_untraced(output.to_token_stream());
    let start = start_call(&request, instrumentation.as_ref(), &fields, runtime);
    let unboxed = shape::is_unboxed(&method.sig).then(|| quote!(.unboxed()));
    let returning = quote_spanned!(output_span=> (&__RPC).returning::<#output>() #unboxed);
    let import = import(&respond, &method.sig, runtime);
    let is_async = method.sig.asyncness.is_some();
    let block_span = method.block.brace_token.span.join();
    let instrument = |statements, span| {
        let statements = stream_types.replace_with_untraced(statements);
        let type_hint = (!shape::has_type_hint(&statements))
            .then(|| quote!(if false { return #runtime::__private::type_hint::<#output>(); }));
        // Coverage counts the lines of a body that lie in the span of its block.
        let body_span = if is_async { block_span } else { span };
        let body = shape::braced(quote!(#type_hint #destructure #statements), body_span);
        let respond = Ident::new(&respond.to_string(), span);
        let call = Ident::new("__call", Span::mixed_site());
        let start = use_of(&request, quote!(*#call = #start;));
        let future = quote_spanned!(span=> #returning.#respond(move |#call| { #start async move #body }));
        quote! {
            #import
            static __RPC: #runtime::__private::MethodDescriptor = #runtime::__private::MethodDescriptor::#constructor;
            #future
        }
    };
    let statements = statements(&method, block_span);
    let statements = shape::rewrite_body(&method.sig, statements, block_span, instrument);
    method.block = source::verbatim_block(method.block.brace_token, statements);
    Ok(method)
}

/// Returns the statements of a method, in braces if it is an `async fn`.
fn statements(method: &ImplItemFn, block_span: Span) -> TokenStream {
    let statements = source::statements(&method.block);
    if method.sig.asyncness.is_some() {
        TokenTree::Group(shape::braced(statements, block_span)).into()
    } else {
        statements
    }
}

/// Returns the import of the trait whose method `__respond` is, if the method calls that.
fn import(respond: &Ident, sig: &Signature, runtime: &Path) -> Option<TokenStream> {
    let from = if shape::is_unboxed(sig) {
        quote!(RespondUnboxed)
    } else {
        quote!(RespondUnary)
    };
    (respond == "__respond").then(|| quote!(use #runtime::__private::#from as _;))
}

/// Allows a statement to use the argument if its name says that it is unused, such as `_request`.
fn use_of(request: &Ident, statement: TokenStream) -> TokenStream {
    let name = request.to_string();
    // Only a block can have an attribute.
    if name.starts_with('_') && !name.starts_with("__") {
        quote!(#[allow(clippy::used_underscore_binding)] { #statement })
    } else {
        statement
    }
}

fn changed_by_another_attribute(method: &Ident) -> Error {
    let message = format!(
        "another attribute has changed `{method}`, so that it is no longer a gRPC method; remove that attribute from this method"
    );
    Error::new(method.span(), message)
}

/// Returns the expression that starts the call of a request, and adds the method's fields to it.
fn start_call(request: &Ident, instrumentation: Option<&Expr>, fields: &[Field], runtime: &Path) -> TokenStream {
    let reference = quote_spanned!(call_site_at(request)=> &);
    let start = match instrumentation {
        None => quote!((&__RPC).start(#reference #request)),
        Some(with) => {
            let with = quote_spanned!(call_site_at(with)=> &#with);
            quote!((&__RPC).start_with(#reference #request, |__start| __start(#with)))
        }
    };
    let attributes = fields.iter().map(|field| field.attribute(runtime));
    let with_attributes = (!fields.is_empty()).then(|| quote!(.with_attributes(|| [#(#attributes),*])));
    quote!(#start #with_attributes)
}

/// Returns the name of the request argument, and a `let` for the pattern that was there instead of
/// a name. (After `async_trait`, there are only names.)
fn request_argument(method: &mut ImplItemFn) -> Result<(Ident, Option<TokenStream>)> {
    let Some(FnArg::Typed(PatType { pat, .. })) = method.sig.inputs.iter_mut().nth(1) else {
        return Err(changed_by_another_attribute(&method.sig.ident));
    };
    if let Pat::Ident(PatIdent {
        ident,
        by_ref: None,
        subpat: None,
        ..
    }) = &**pat
    {
        return Ok((ident.clone(), None));
    }
    let ident = Ident::new("__request", Span::mixed_site());
    let pattern = std::mem::replace(&mut **pat, parse_quote!(#ident));
    let destructure = match pattern {
        Pat::Wild(_) => None,
        pattern => Some(quote!(let #pattern = #ident;)),
    };
    Ok((ident, destructure))
}
