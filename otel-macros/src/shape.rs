//! The two shapes in which an RPC method can reach us: as its author wrote it, and as `#[async_trait]` leaves it.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    AngleBracketedGenericArguments, Block, Expr, GenericArgument, PathArguments, ReturnType, Signature, Stmt, Type,
    TypeParamBound,
};

/// Where the return type and the statements of an RPC method are.
pub(crate) struct Shape<'a> {
    /// The type that the caller awaits: `Result<Response<T>, Status>`, or an alias of it.
    pub(crate) output: &'a mut Type,
    /// The block that makes it, and whose awaiting is the RPC.
    pub(crate) body: &'a mut Block,
}

impl<'a> Shape<'a> {
    // Input:
    //     async fn say_hello(&self, request: Request<HelloRequest>) -> R { BODY }
    // or, once async_trait has been there:
    //     fn say_hello<…>(&'life0 self, request: Request<HelloRequest>)
    //         -> Pin<Box<dyn Future<Output = R> + Send + 'async_trait>> where …
    //     { …; Box::pin(async move { BODY }) }
    //
    // Output: R and BODY.
    pub(crate) fn of(sig: &'a mut Signature, block: &'a mut Block) -> Option<Self> {
        let ReturnType::Type(_, returns) = &mut sig.output else {
            return None;
        };
        if sig.asyncness.is_some() {
            return Some(Shape {
                output: returns,
                body: block,
            });
        }
        Some(Shape {
            output: boxed_future_output(returns)?,
            body: boxed_async_block(block)?,
        })
    }
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
