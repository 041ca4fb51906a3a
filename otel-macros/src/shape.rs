//! The shapes of an RPC method: an `async fn`, its desugaring by `#[async_trait]`, and a function
//! that returns a future.

use proc_macro2::{Delimiter, Group, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, PathArguments, ReturnType, Signature, Token, Type, TypeParamBound,
};

// Input:
//     async fn say_hello(&self, request: Request<HelloRequest>) -> R { BODY }
// or, desugared by async_trait:
//     fn say_hello<…>(&'life0 self, request: Request<HelloRequest>)
//         -> Pin<Box<dyn Future<Output = R> + Send + 'async_trait>> where …
//     { …; Box::pin(async move { BODY }) }
//
// or a function without `async`:
//     fn say_hello(&self, request: Request<HelloRequest>) -> impl Future<Output = R> + Send { … }
//
// Output: R, the output of the method's future: `Result<Response<T>, Status>`, or an alias of it.
pub(crate) fn output(sig: &mut Signature) -> Option<&mut Type> {
    let ReturnType::Type(_, returns) = &mut sig.output else {
        return None;
    };
    if sig.asyncness.is_some() {
        return Some(returns);
    }
    match &mut **returns {
        Type::ImplTrait(future) => future_output(&mut future.bounds),
        returns => boxed_future_output(returns),
    }
}

/// Returns true unless the method returns a boxed future.
pub(crate) fn is_unboxed(sig: &Signature) -> bool {
    sig.asyncness.is_some() || returns_impl_trait(sig)
}

fn returns_impl_trait(sig: &Signature) -> bool {
    matches!(&sig.output, ReturnType::Type(_, returns) if matches!(**returns, Type::ImplTrait(_)))
}

// Input: the statements of an `async fn`:
//     BODY
// or of its desugaring by async_trait:
//     BEFORE; Box::pin(async move { BODY })
// or of any other `fn … -> F`, left by another attribute or written by hand:
//     STATEMENTS
//
// Output, in this order. `rewrite` gets the BODY of the RPC and the span of its `async`, and
// returns a boxed future.
//     rewrite(BODY).await
//     BEFORE; { rewrite(BODY) }
//     rewrite((move || -> F { STATEMENTS })().await)
// The body of the closure gets the span of the method's block, so that coverage counts its lines.
pub(crate) fn rewrite_body(
    sig: &Signature,
    statements: TokenStream,
    block: Span,
    rewrite: impl FnOnce(TokenStream, Span) -> TokenStream,
) -> TokenStream {
    if let Some(r#async) = &sig.asyncness {
        let future = rewrite(statements, call_site_at(r#async));
        return quote!(#future.await);
    }
    let tokens: Vec<TokenTree> = statements.into_iter().collect();
    if let Some((before, span, body)) = boxed_async_block(&tokens) {
        let future = rewrite(body, span);
        return if before.is_empty() {
            future
        } else {
            quote!(#(#before)* { #future })
        };
    }
    // A closure cannot return an `impl Trait`, whose one type the compiler infers.
    let returns = (!returns_impl_trait(sig)).then_some(&sig.output);
    // In a closure, a `return` in the statements still returns F instead of ending the RPC's
    // future.
    let body = braced(tokens.into_iter().collect(), block);
    rewrite(quote!((move || #returns #body)().await), call_site_at(&sig.fn_token))
}

/// Returns true if the statements start with `async_trait`'s `return` that never runs, which fixes
/// their type: `if let ::core::option::Option::Some(__ret) = … { return __ret; }`.
pub(crate) fn has_type_hint(statements: &TokenStream) -> bool {
    let mut head = statements.clone().into_iter();
    let is_keyword =
        |token: Option<TokenTree>, keyword: &str| matches!(token, Some(TokenTree::Ident(ident)) if ident == keyword);
    is_keyword(head.next(), "if")
        && is_keyword(head.next(), "let")
        && head.find_map(|token| match token {
            TokenTree::Group(pattern) => Some(pattern.stream().to_string() == "__ret"),
            _ => None,
        }) == Some(true)
}

/// Returns the `R` of `Pin<Box<dyn Future<Output = R> + …>>`.
fn boxed_future_output(returns: &mut Type) -> Option<&mut Type> {
    let Type::TraitObject(future) = only_type_argument(only_type_argument(returns, "Pin")?, "Box")? else {
        return None;
    };
    future_output(&mut future.bounds)
}

/// Returns the `R` of the bound `Future<Output = R>`.
fn future_output(bounds: &mut Punctuated<TypeParamBound, Token![+]>) -> Option<&mut Type> {
    bounds.iter_mut().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last_mut()?;
            if last.ident != "Future" {
                return None;
            }
            arguments(&mut last.arguments)?
                .args
                .iter_mut()
                .find_map(|argument| match argument {
                    GenericArgument::AssocType(output) if output.ident == "Output" => Some(&mut output.ty),
                    _ => None,
                })
        }
        _ => None,
    })
}

/// Returns the `T` of `wrapper<T>`.
fn only_type_argument<'a>(ty: &'a mut Type, wrapper: &str) -> Option<&'a mut Type> {
    let Type::Path(ty) = ty else { return None };
    let last = ty.path.segments.last_mut()?;
    if last.ident != wrapper {
        return None;
    }
    arguments(&mut last.arguments)?
        .args
        .iter_mut()
        .find_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        })
}

fn arguments(arguments: &mut PathArguments) -> Option<&mut AngleBracketedGenericArguments> {
    match arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments),
        _ => None,
    }
}

/// If the statements end with `Box::pin(async move { BODY })`, returns the tokens before it, the
/// span of `async`, and BODY.
fn boxed_async_block(statements: &[TokenTree]) -> Option<(&[TokenTree], Span, TokenStream)> {
    let [
        before @ ..,
        TokenTree::Ident(r#box),
        TokenTree::Punct(_),
        TokenTree::Punct(_),
        TokenTree::Ident(pin),
        TokenTree::Group(argument),
    ] = statements
    else {
        return None;
    };
    let future: Vec<TokenTree> = argument.stream().into_iter().collect();
    match &future[..] {
        [
            TokenTree::Ident(r#async),
            TokenTree::Ident(r#move),
            TokenTree::Group(body),
        ] if r#box == "Box" && pin == "pin" && r#async == "async" && r#move == "move" => {
            Some((strip_trailing_path(before), call_site_at(r#async), body.stream()))
        }
        _ => None,
    }
}

/// Strips the `::std::boxed::` at the end of the tokens.
fn strip_trailing_path(tokens: &[TokenTree]) -> &[TokenTree] {
    match tokens {
        [rest @ .., TokenTree::Punct(first), TokenTree::Punct(second)] if is_path_separator(first, second) => {
            match rest {
                [rest @ .., TokenTree::Ident(segment)] if segment != "return" => strip_trailing_path(rest),
                _ => rest,
            }
        }
        _ => tokens,
    }
}

pub(crate) fn is_path_separator(first: &Punct, second: &Punct) -> bool {
    first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':'
}

/// Returns a block with this span.
pub(crate) fn braced(statements: TokenStream, span: Span) -> Group {
    let mut block = Group::new(Delimiter::Brace, statements);
    block.set_span(span);
    block
}

/// Returns a group with the delimiters and span of `group`, but other tokens.
pub(crate) fn regroup(group: &Group, tokens: TokenStream) -> Group {
    let mut regrouped = Group::new(group.delimiter(), tokens);
    regrouped.set_span(group.span());
    regrouped
}

/// Returns a span with the location of the user's code and the hygiene of the macro call. If
/// generated code has it, the compiler reports errors at the user's code.
pub(crate) fn call_site_at(tokens: &impl ToTokens) -> Span {
    Span::call_site().located_at(tokens.span())
}
