//! The two shapes in which an RPC method can reach us: as its author wrote it, and as `#[async_trait]` leaves it.

use proc_macro2::{Group, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, PathArguments, ReturnType, Signature, Type, TypeParamBound,
};

// Input:
//     async fn say_hello(&self, request: Request<HelloRequest>) -> R { BODY }
// or, once async_trait has been there:
//     fn say_hello<…>(&'life0 self, request: Request<HelloRequest>)
//         -> Pin<Box<dyn Future<Output = R> + Send + 'async_trait>> where …
//     { …; Box::pin(async move { BODY }) }
//
// Output: R, the type that the caller awaits: `Result<Response<T>, Status>`, or an alias of it.
pub(crate) fn output(sig: &mut Signature) -> Option<&mut Type> {
    let ReturnType::Type(_, returns) = &mut sig.output else {
        return None;
    };
    if sig.asyncness.is_some() {
        Some(returns)
    } else {
        boxed_future_output(returns)
    }
}

// Input: as above, or, once another attribute has been there after async_trait:
//     fn say_hello<…>(…) -> F { STATEMENTS }
//
// Output: the method's statements, with the future `rewrite(BODY, span of its `async`)`, which is boxed, for the BODY whose awaiting is the RPC, or for `Box::pin(async move { BODY })`. For the last, a BODY is made:
//     rewrite((move || -> F { STATEMENTS })().await)
pub(crate) fn rewrite_body(
    sig: &Signature,
    statements: TokenStream,
    rewrite: impl FnOnce(TokenStream, Span) -> TokenStream,
) -> TokenStream {
    if let Some(r#async) = &sig.asyncness {
        let future = rewrite(statements, shown_at(r#async));
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
    let returns = &sig.output;
    // A closure, so that a `return` among the statements stays one.
    rewrite(
        quote!((move || #returns { #(#tokens)* })().await),
        shown_at(&sig.fn_token),
    )
}

/// Whether the statements start with the `return` that gives them their type in what `async_trait` makes: `if let ::core::option::Option::Some(__ret) = …`.
pub(crate) fn are_typed(statements: &TokenStream) -> bool {
    let mut head = statements.clone().into_iter();
    let is_word =
        |token: Option<TokenTree>, word: &str| matches!(token, Some(TokenTree::Ident(ident)) if ident == word);
    is_word(head.next(), "if")
        && is_word(head.next(), "let")
        && head.find_map(|token| match token {
            TokenTree::Group(bound) => Some(bound.stream().to_string() == "__ret"),
            _ => None,
        }) == Some(true)
}

/// `R` of `Pin<Box<dyn Future<Output = R> + …>>`.
fn boxed_future_output(returns: &mut Type) -> Option<&mut Type> {
    let Type::TraitObject(future) = only_type_argument(only_type_argument(returns, "Pin")?, "Box")? else {
        return None;
    };
    future.bounds.iter_mut().find_map(|bound| match bound {
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

/// `T` of `wrapper<T>`.
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

/// What comes before the `Box::pin(async move { BODY })` that statements end with, its `async`, and its BODY.
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
            Some((without_path(before), shown_at(r#async), body.stream()))
        }
        _ => None,
    }
}

/// Without the `::std::boxed::` at the end.
fn without_path(tokens: &[TokenTree]) -> &[TokenTree] {
    match tokens {
        [rest @ .., TokenTree::Punct(first), TokenTree::Punct(second)] if is_path_separator(first, second) => {
            match rest {
                [rest @ .., TokenTree::Ident(segment)] if segment != "return" => without_path(rest),
                _ => rest,
            }
        }
        _ => tokens,
    }
}

pub(crate) fn is_path_separator(first: &Punct, second: &Punct) -> bool {
    first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':'
}

/// Another inside for a group.
pub(crate) fn regroup(group: &Group, tokens: TokenStream) -> Group {
    let mut regrouped = Group::new(group.delimiter(), tokens);
    regrouped.set_span(group.span());
    regrouped
}

/// For generated code that the compiler blames for what the user wrote: the place is the user's, the names are ours.
pub(crate) fn shown_at(written: &impl ToTokens) -> Span {
    Span::call_site().located_at(written.span())
}
