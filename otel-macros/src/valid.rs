//! Whether the impl is one of a gRPC service. Each mistake is one error, on the smallest thing the user wrote.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Error, FnArg, ImplItem, ImplItemFn, ItemImpl, Path, ReceiverKind, Type};

use crate::args::Args;
use crate::expand::methods_mut;
use crate::parse;
use crate::shape;
use crate::traced::Traced;

/// The trait's path, and what is wrong with the impl.
pub(crate) fn check(
    args: &Args,
    options: &[Option<Traced>],
    item: &mut ItemImpl,
    errors: &mut Vec<Error>,
) -> Option<Path> {
    let trait_path = check_is_trait_impl(item, errors);
    if trait_path.is_some() {
        check_is_annotated_once(item, errors);
        check_skipped_methods_are_there(args, item, errors);
        for (method, options) in methods_mut(item).zip(options) {
            // What is skipped may be anything.
            if options.is_some() {
                errors.extend(check_signature(method).and_then(|()| check_shape(method)).err());
            }
        }
    }
    trait_path
}

/// A method that is skipped by a name that it does not have goes on being traced.
fn check_skipped_methods_are_there(args: &Args, item: &mut ItemImpl, errors: &mut Vec<Error>) {
    let methods: Vec<String> = methods_mut(item)
        .map(|method| method.sig.ident.unraw().to_string())
        .collect();
    let methods: Vec<&str> = methods.iter().map(String::as_str).collect();
    for skipped in args.skip.iter().flatten() {
        let name = skipped.unraw().to_string();
        if !methods.contains(&name.as_str()) {
            let meant = parse::nearest(&name, &methods).map(|meant| format!("; did you mean `{meant}`?"));
            let message = format!("no method `{name}` in this impl{}", meant.unwrap_or_default());
            errors.push(Error::new(skipped.span(), message));
        }
    }
}

/// `impl Trait for Type`, and not `impl Type` or `impl !Trait for Type`.
fn check_is_trait_impl(item: &ItemImpl, errors: &mut Vec<Error>) -> Option<Path> {
    match &item.trait_ {
        Some((path, _)) if item.modifiers.polarity.is_none() => Some(path.clone()),
        Some((path, _)) => {
            errors.push(Error::new_spanned(path, NOT_A_SERVICE));
            None
        }
        None => {
            errors.push(Error::new_spanned(&item.self_ty, NOT_A_SERVICE));
            None
        }
    }
}

/// An impl that has been through here has an `#[rpc]` on each method. Two would make two spans of one RPC.
fn check_is_annotated_once(item: &ItemImpl, errors: &mut Vec<Error>) {
    let is_rpc = |attribute: &Attribute| {
        let mut segments = attribute.path().segments.iter().rev();
        segments.next().is_some_and(|last| last.ident == "rpc")
            && segments.next().is_some_and(|before| before.ident == "__private")
    };
    let is_annotated = |item: &ImplItem| matches!(item, ImplItem::Fn(method) if method.attrs.iter().any(is_rpc));
    if item.items.iter().any(is_annotated) {
        errors.push(Error::new(
            Span::call_site(),
            "duplicate `#[traced_service]`; write it once",
        ));
    }
}

pub(crate) const NOT_A_SERVICE: &str = "expected the impl of a tonic service: `impl Greeter for MyGreeter { … }`";

/// `&self` or `self: Arc<Self>`, and one argument.
fn check_signature(method: &ImplItemFn) -> Result<(), Error> {
    const EXPECTED: &str = "expected a gRPC method: `async fn name(&self, request: tonic::Request<T>)`";
    let mut inputs = method.sig.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => match &receiver.kind {
            ReceiverKind::Reference(_, _, None) => {}
            ReceiverKind::Typed(_, ty) if !matches!(&**ty, Type::Reference(reference) if reference.mutability.is_some()) =>
                {}
            _ => return Err(Error::new_spanned(receiver, EXPECTED)),
        },
        Some(FnArg::Typed(argument)) => return Err(Error::new_spanned(argument, EXPECTED)),
        None => return Err(Error::new(method.sig.ident.span(), EXPECTED)),
    }
    match (inputs.next(), inputs.next()) {
        (Some(_), None) => Ok(()),
        (None, _) => Err(Error::new(method.sig.ident.span(), EXPECTED)),
        (Some(_), Some(second)) => Err(Error::new_spanned(second, EXPECTED)),
    }
}

/// An `async fn` that returns something, or what `#[async_trait]` makes of one.
fn check_shape(method: &mut ImplItemFn) -> Result<(), Error> {
    let name = method.sig.ident.clone();
    let is_async = method.sig.asyncness.is_some();
    if let Some(output) = shape::output(&mut method.sig) {
        return match first_impl_trait(output.to_token_stream()) {
            None => Ok(()),
            Some(r#impl) => Err(Error::new(r#impl, UNNAMED)),
        };
    }
    // The trait wants an `async fn` here, as every one that tonic generates: with this one no longer missing, the compiler has nothing to add.
    method.sig.asyncness.get_or_insert_with(Default::default);
    Err(Error::new(
        name.span(),
        if is_async {
            format!("`{name}` returns nothing; expected `-> Result<tonic::Response<T>, tonic::Status>`")
        } else {
            format!("`{name}` is neither an `async fn` nor what `#[async_trait]` makes of one")
        },
    ))
}

const UNNAMED: &str = "the response's type needs a name, which `impl Trait` has not; box the stream: `Pin<Box<dyn Stream<Item = …> + Send>>`";

/// The `impl` of a type that has no name, and so cannot be written once more.
fn first_impl_trait(ty: TokenStream) -> Option<Span> {
    ty.into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if word == "impl" => Some(word.span()),
        TokenTree::Group(group) => first_impl_trait(group.stream()),
        _ => None,
    })
}
