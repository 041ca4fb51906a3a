//! Checks that the impl is a gRPC service. Each mistake is one error, at the smallest piece of code
//! that causes it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Error, FnArg, ImplItem, ImplItemFn, ItemImpl, Path, ReceiverKind, Type};

use crate::args::Args;
use crate::parse;
use crate::service::methods_mut;
use crate::shape;
use crate::traced::Traced;

pub(crate) const EXPECTED_SERVICE_IMPL: &str =
    "expected the impl of a tonic service: `impl Greeter for MyGreeter { … }`";
const EXPECTED_METHOD: &str = "expected a gRPC method: `async fn name(&self, request: tonic::Request<T>)`";
const NO_IMPL_TRAIT: &str = "`impl Trait` is not allowed in the return type of a gRPC method; box the stream: `Pin<Box<dyn Stream<Item = …> + Send>>`";

/// Returns the trait's path, and appends all errors in the impl to `errors`.
pub(crate) fn check(
    args: &Args,
    options: &[Option<Traced>],
    item: &mut ItemImpl,
    errors: &mut Vec<Error>,
) -> Option<Path> {
    let trait_path = check_is_trait_impl(item, errors);
    if trait_path.is_some() {
        check_annotated_once(item, errors);
        check_skipped_methods_exist(args, item, errors);
        for (method, options) in methods_mut(item).zip(options) {
            // A skipped method may have any signature.
            if options.is_some() {
                errors.extend(check_signature(method).and_then(|()| check_shape(method)).err());
            }
        }
    }
    trait_path
}

/// Reports names in `skip` without a method. Due to a typo, the intended method would still be
/// traced.
fn check_skipped_methods_exist(args: &Args, item: &mut ItemImpl, errors: &mut Vec<Error>) {
    let methods: Vec<String> = methods_mut(item)
        .map(|method| method.sig.ident.unraw().to_string())
        .collect();
    let methods: Vec<&str> = methods.iter().map(String::as_str).collect();
    for skipped in args.skip.iter().flatten() {
        let name = skipped.unraw().to_string();
        if !methods.contains(&name.as_str()) {
            let suggestion = parse::best_match(&name, &methods).map(|best| format!("; did you mean `{best}`?"));
            let message = format!("no method `{name}` in this impl{}", suggestion.unwrap_or_default());
            errors.push(Error::new(skipped.span(), message));
        }
    }
}

/// Returns the path of `Trait` in `impl Trait for Type`. Reports `impl Type` and `impl !Trait for
/// Type`.
fn check_is_trait_impl(item: &ItemImpl, errors: &mut Vec<Error>) -> Option<Path> {
    match &item.trait_ {
        Some((path, _)) if item.modifiers.polarity.is_none() => Some(path.clone()),
        Some((path, _)) => {
            errors.push(Error::new_spanned(path, EXPECTED_SERVICE_IMPL));
            None
        }
        None => {
            errors.push(Error::new_spanned(&item.self_ty, EXPECTED_SERVICE_IMPL));
            None
        }
    }
}

/// Reports a second `#[traced_service]`, which would start a second span for each RPC. The first
/// one has left `#[rpc]` on the methods.
fn check_annotated_once(item: &ItemImpl, errors: &mut Vec<Error>) {
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

/// Checks for `&self` or `self: Arc<Self>`, and one argument after it.
fn check_signature(method: &ImplItemFn) -> Result<(), Error> {
    let mut inputs = method.sig.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => match &receiver.kind {
            ReceiverKind::Reference(_, _, None) => {}
            ReceiverKind::Typed(_, ty) if !matches!(&**ty, Type::Reference(reference) if reference.mutability.is_some()) =>
                {}
            _ => return Err(Error::new_spanned(receiver, EXPECTED_METHOD)),
        },
        Some(FnArg::Typed(argument)) => return Err(Error::new_spanned(argument, EXPECTED_METHOD)),
        None => return Err(Error::new(method.sig.ident.span(), EXPECTED_METHOD)),
    }
    match (inputs.next(), inputs.next()) {
        (Some(_), None) => Ok(()),
        (None, _) => Err(Error::new(method.sig.ident.span(), EXPECTED_METHOD)),
        (Some(_), Some(second)) => Err(Error::new_spanned(second, EXPECTED_METHOD)),
    }
}

/// Checks for an `async fn` with a return type, or its desugaring by `#[async_trait]`.
fn check_shape(method: &mut ImplItemFn) -> Result<(), Error> {
    let name = method.sig.ident.clone();
    let is_async = method.sig.asyncness.is_some();
    if let Some(output) = shape::output(&mut method.sig) {
        return match first_impl_trait(output.to_token_stream()) {
            None => Ok(()),
            Some(r#impl) => Err(Error::new(r#impl, NO_IMPL_TRAIT)),
        };
    }
    // Every trait that tonic generates expects an `async fn` here. With `async` added, the compiler
    // does not report a second error.
    method.sig.asyncness.get_or_insert_with(Default::default);
    Err(Error::new(
        name.span(),
        if is_async {
            format!("`{name}` returns nothing; expected `-> Result<tonic::Response<T>, tonic::Status>`")
        } else {
            format!(
                "`{name}` is not async; expected an `async fn`, or the return type `Pin<Box<dyn Future<Output = …> + Send + '_>>`"
            )
        },
    ))
}

/// Finds the `impl` of a type that cannot be named, and so cannot be repeated in generated code.
fn first_impl_trait(ty: TokenStream) -> Option<Span> {
    ty.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if ident == "impl" => Some(ident.span()),
        TokenTree::Group(group) => first_impl_trait(group.stream()),
        _ => None,
    })
}
