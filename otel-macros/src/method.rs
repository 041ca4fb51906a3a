//! The second of the two stages: one method, after all its other attributes.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::Parser;
use syn::{Error, FnArg, Ident, ImplItemFn, Pat, PatIdent, PatType, Result, parse_quote};

use crate::handoff::Handoff;
use crate::shape::{self, shown_at};
use crate::source;

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    instrument(args, item.clone()).map_or_else(
        // `compile_error!` is a macro call, which may stand where methods do.
        |error| item.into_iter().chain(error.to_compile_error()).collect(),
        ImplItemFn::into_token_stream,
    )
}

// Input:
//     async fn say_hello(&self, request: Request<HelloRequest>) -> R { BODY }
//
// Output:
//     async fn say_hello(&self, request: Request<HelloRequest>) -> R {
//         use ::otel_runtime::__private::RespondUnary as _;
//         static __RPC: ::otel_runtime::__private::MethodDescriptor =
//             ::otel_runtime::__private::MethodDescriptor::for_trait("Greeter", "SayHello");
//         let __call = __RPC.start(&request);
//         __RPC.returning::<R>().respond(__call, async move {
//             if false { return ::otel_runtime::__private::type_hint::<R>(); }
//             BODY
//         }).await
//     }
// What `#[async_trait]` has made of the method already is `Box::pin(async move { BODY })`. All this takes its place, and nobody awaits it: `respond` boxes likewise.
//
// The `return` that never runs gives the block its type from the inside. From the outside (`let r: R`, `-> R`, a turbofish) the
// compiler does not coerce `Ok(Response::new(Box::pin(stream)))` to it (rust-lang/rust#145105). What async_trait leaves starts with
// one already.
fn instrument(args: TokenStream, item: TokenStream) -> Result<ImplItemFn> {
    let Handoff {
        constructor,
        streams,
        stream_types,
        fields,
        instrumentation,
    } = syn::parse2(args)?;
    let runtime = &stream_types.runtime;
    let mut method = source::method.parse2(item)?;
    let name = method.sig.ident.clone();

    let (request, destructure) = request(&mut method)?;
    let Some(output) = shape::output(&mut method.sig) else {
        return Err(Error::new(
            name.span(),
            format!(
                "another attribute has made of `{name}` what is no longer an `async fn` or what `#[async_trait]` makes of one; move it below the others, or off this method"
            ),
        ));
    };
    // The trait wants the wrapped stream, the statements make the unwrapped one.
    let shown_at_output = shown_at(output);
    let output = stream_types.unwrap(output.to_token_stream());
    let (import, respond) = if streams {
        (None, "respond_stream")
    } else {
        (Some(quote!(use #runtime::__private::RespondUnary as _;)), "respond")
    };
    let reference = quote_spanned!(shown_at(&request)=> &);
    let start = match instrumentation {
        None => quote!(__RPC.start(#reference #request)),
        Some(with) => {
            let with = quote_spanned!(shown_at(&with)=> &#with);
            quote!(__RPC.start_with(#reference #request, |__start| __start(#with)))
        }
    };
    let returning = quote_spanned!(shown_at_output=> __RPC.returning::<#output>());
    let attributes = fields.iter().map(|field| field.attribute(runtime));
    let with_attributes = (!fields.is_empty()).then(|| quote!(.with_attributes(|| [#(#attributes),*])));
    let instrument = |statements, span| {
        let statements = stream_types.unwrap(statements);
        let typed = (!shape::are_typed(&statements))
            .then(|| quote!(if false { return #runtime::__private::type_hint::<#output>(); }));
        // What there is to say of the block as a whole, that it is not `Send` perhaps, is said of the method.
        let mut body = Group::new(Delimiter::Brace, quote!(#typed #destructure #statements));
        body.set_span(span);
        let respond = Ident::new(respond, span);
        let call = Ident::new("__call", Span::mixed_site());
        let future = quote_spanned!(span=> #returning.#respond(#call, async move #body));
        quote! {
            #import
            static __RPC: #runtime::__private::MethodDescriptor = #runtime::__private::MethodDescriptor::#constructor;
            let #call = #start #with_attributes;
            #future
        }
    };
    let statements = source::statements(&method.block);
    let statements = shape::rewrite_body(&method.sig, statements, instrument);
    method.block = source::verbatim(method.block.brace_token, statements);
    Ok(method)
}

/// The name of the request argument, and the pattern it was, if it had none. (`async_trait` leaves names only.)
fn request(method: &mut ImplItemFn) -> Result<(Ident, Option<TokenStream>)> {
    let name = method.sig.ident.span();
    let Some(FnArg::Typed(PatType { pat, .. })) = method.sig.inputs.iter_mut().nth(1) else {
        return Err(Error::new(name, "expected one argument after `self`"));
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
