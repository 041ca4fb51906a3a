//! Reads an impl as a gRPC service: which types are response streams, and what the service and its
//! methods are called on the wire.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{ImplItem, ImplItemFn, ItemImpl, Path};

use crate::args::ServiceArg;

/// The service's name, as far as it is known at compile time.
pub(crate) enum Name {
    /// The full name, from the argument `service`.
    Known(TokenStream),
    /// The trait's name. If the trait is written `x_server::Trait`, also the path of that module.
    /// The package comes at run time, from the module's `SERVICE_NAME` or from the request's path.
    Trait(String, Option<Path>),
}

impl Name {
    /// Creates the name from the argument `service`, or from the trait's path without one.
    pub(crate) fn new(argument: Option<&ServiceArg>, trait_path: &Path) -> Self {
        if let Some(name) = argument {
            return Name::Known(name.to_token_stream());
        }
        let mut module = trait_path.clone();
        let last = module.segments.pop().expect("a path has a segment");
        module.segments.pop_punct();
        let is_generated = module
            .segments
            .last()
            .is_some_and(|module| module.ident.to_string().ends_with("_server"));
        Name::Trait(last.ident.unraw().to_string(), is_generated.then_some(module))
    }

    /// Returns the call that constructs a method's `static`, without the type before its `::`.
    pub(crate) fn constructor(&self, method: &str, runtime: &Path) -> TokenStream {
        match self {
            Name::Known(service) => quote!(for_service(#service, #method)),
            Name::Trait(service, None) => quote!(for_trait(#service, #method)),
            Name::Trait(service, Some(module)) => {
                quote!(for_trait(#service, #method).with_service(#runtime::__private::service_name!(#module)))
            }
        }
    }
}

/// Returns the methods of the impl, in source order.
pub(crate) fn methods_mut(service: &mut ItemImpl) -> impl Iterator<Item = &mut ImplItemFn> {
    service.items.iter_mut().filter_map(|item| match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    })
}

/// Returns the names of those associated types that are response streams of the given methods.
///
/// For the RPC `Chat`, tonic generates the method `chat` and the associated type `ChatStream`.
pub(crate) fn response_stream_types(service: &ItemImpl, methods: &[Ident]) -> Vec<Ident> {
    let types = service.items.iter().filter_map(|item| match item {
        ImplItem::Type(ty) => Some(&ty.ident),
        _ => None,
    });
    types
        .filter(|ty| methods.iter().any(|method| is_stream_type_for(ty, method)))
        .cloned()
        .collect()
}

/// Returns the name of the method's response stream type, if it has one.
pub(crate) fn find_stream_type<'a>(stream_types: &'a [Ident], method: &Ident) -> Option<&'a Ident> {
    stream_types.iter().find(|ty| is_stream_type_for(ty, method))
}

/// Returns the RPC's name on the wire, as far as the Rust names show it.
///
/// With a stream type `{RpcName}Stream` it is exact. Otherwise it is a guess: the function's name
/// in `UpperCamelCase`.
pub(crate) fn rpc_name(method: &Ident, stream_type: Option<&Ident>) -> String {
    match stream_type {
        Some(ty) => {
            let mut name = ty.unraw().to_string();
            name.truncate(name.len() - "Stream".len());
            name
        }
        None => method.unraw().to_string().to_upper_camel_case(),
    }
}

fn is_stream_type_for(ty: &Ident, method: &Ident) -> bool {
    let ty = ty.unraw().to_string();
    ty.strip_suffix("Stream")
        .is_some_and(|rpc| normalized(rpc) == normalized(&method.unraw().to_string()))
}

/// Removes whatever prost may change in a name: letter case and underscores.
fn normalized(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}
