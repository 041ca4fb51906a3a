//! The two shapes in which an RPC method can reach us: as its author wrote it, and as `#[async_trait]` leaves it.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    AngleBracketedGenericArguments, Block, Expr, GenericArgument, ImplItemFn, PathArguments, ReturnType, Signature,
    Stmt, Type, TypeParamBound, parse_quote,
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
// Output: BODY, whose awaiting is the RPC. For the last, it is made:
//     fn say_hello<…>(…) -> F { Box::pin(async move { (move || -> F { STATEMENTS })().await }) }
pub(crate) fn body(method: &mut ImplItemFn) -> &mut Block {
    let ImplItemFn { sig, block, .. } = method;
    if sig.asyncness.is_some() {
        return block;
    }
    if boxed_async_block(block).is_none() {
        let (returns, statements) = (&sig.output, &block.stmts);
        // A closure, so that a `return` among the statements stays one.
        block.stmts =
            parse_quote!(::std::boxed::Box::pin(async move { (move || #returns { #(#statements)* })().await }));
    }
    boxed_async_block(block).expect("it is one, or has just been made one")
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

/// `BODY` of a block that ends with `Box::pin(async move { BODY })`.
fn boxed_async_block(block: &mut Block) -> Option<&mut Block> {
    let Some(Stmt::Expr(Expr::Call(call), None)) = block.stmts.last_mut() else {
        return None;
    };
    let Expr::Path(function) = &*call.func else { return None };
    let mut segments = function.path.segments.iter().rev();
    if segments.next()?.ident != "pin" || segments.next()?.ident != "Box" {
        return None;
    }
    match call.args.first_mut() {
        Some(Expr::Async(future)) if future.capture.is_some() => Some(&mut future.block),
        _ => None,
    }
}

/// For generated code that the compiler blames for what the user wrote: the place is the user's, the names are ours.
pub(crate) fn shown_at(written: &impl ToTokens) -> Span {
    Span::call_site().located_at(written.span())
}
