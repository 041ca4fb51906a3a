//! What an impl means as a gRPC service: which functions are RPCs, which types are their response streams, what they are called.

use heck::ToUpperCamelCase;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{ImplItem, ItemImpl, Path};

use crate::args::ServiceName;

/// The service's name as far as the impl tells it.
pub(crate) enum Name {
    /// The argument.
    Known(TokenStream),
    /// The trait's own name, and the `x_server` where it is written `x_server::Trait`. That module, or else the request path, will tell the package.
    Trait(String, Option<Path>),
}

impl Name {
    pub(crate) fn of(argument: Option<&ServiceName>, trait_path: &Path) -> Self {
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

    /// The call that makes a method's `static`, from its name on.
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

/// The names of the response stream types of these methods. tonic calls the one of the RPC `Chat`, whose method is `chat`, `ChatStream`.
pub(crate) fn stream_types(item: &ItemImpl, methods: &[Ident]) -> Vec<Ident> {
    let types = item.items.iter().filter_map(|item| match item {
        ImplItem::Type(ty) => Some(&ty.ident),
        _ => None,
    });
    types
        .filter(|ty| methods.iter().any(|method| is_stream_of(ty, method)))
        .cloned()
        .collect()
}

/// The name of the method's response stream type.
pub(crate) fn stream_of<'a>(method: &Ident, stream_types: &'a [Ident]) -> Option<&'a Ident> {
    stream_types.iter().find(|ty| is_stream_of(ty, method))
}

/// The method's name on the wire, as well as its Rust names tell it: `{RpcName}Stream` is exact, and `UpperCamelCase` of the function's name is a guess.
pub(crate) fn rpc_name(method: &Ident, stream: Option<&Ident>) -> String {
    match stream {
        Some(stream) => {
            let mut name = stream.unraw().to_string();
            name.truncate(name.len() - "Stream".len());
            name
        }
        None => method.unraw().to_string().to_upper_camel_case(),
    }
}

fn is_stream_of(ty: &Ident, method: &Ident) -> bool {
    let ty = ty.unraw().to_string();
    ty.strip_suffix("Stream")
        .is_some_and(|rpc| folded(rpc) == folded(&method.unraw().to_string()))
}

/// A name without what prost changes in it: letter case and underscores.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .flat_map(char::to_lowercase)
        .collect()
}
