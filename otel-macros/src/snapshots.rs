//! What the attribute writes, kept in `snapshots/` to be read: `KIND.rs` becomes `KIND.expanded.rs`.
//!
//! `UPDATE_EXPECT=1 cargo test -p otel-macros` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, File, ImplItem, Item, Meta};

use crate::{expand, method};

macro_rules! snapshots {
    ($stages:ident: $($kind:ident)*) => {
        $(
            #[test]
            fn $kind() {
                let input = snapshot(concat!(stringify!($kind), ".rs"));
                let output = snapshot(concat!(stringify!($kind), ".expanded.rs"));
                expect_file![output].assert_eq(&pretty(&input, &$stages(&input)));
            }
        )*
    };
}

snapshots! { first_stage: handoff mistakes }

snapshots! { both_stages:
    unary server_stream client_stream bidi
    trait_in_server_module service_literal service_path crate_path
    unnamed_argument destructured_argument default_stub concrete_stream cfg_twins
    below_async_trait_unary below_async_trait_stream
}

/// The impl of the file, expanded by `#[traced_service]`.
fn first_stage(input: &Path) -> TokenStream {
    let text = fs::read_to_string(input).unwrap_or_else(|error| panic!("{}: {error}", input.display()));
    let mut file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", input.display()));
    let Some(Item::Impl(service)) = file.items.first_mut() else {
        panic!("{}: an impl comes first", input.display());
    };
    let traced_service = take_attribute(&mut service.attrs, "traced_service");
    let traced_service = traced_service.unwrap_or_else(|| panic!("{}: no #[traced_service]", input.display()));
    expand::expand(arguments(traced_service), service.to_token_stream())
}

/// The same, and then each method by its `#[rpc]`, as the compiler goes on.
fn both_stages(input: &Path) -> TokenStream {
    let expanded = first_stage(input);
    let mut file: File = syn::parse2(expanded.clone()).unwrap_or_else(|error| unreadable(input, &error, &expanded));
    for item in &mut file.items {
        let Item::Impl(service) = item else { continue };
        for item in &mut service.items {
            let ImplItem::Fn(rpc) = item else { continue };
            if let Some(attribute) = take_attribute(&mut rpc.attrs, "rpc") {
                *item = ImplItem::Verbatim(method::expand(arguments(attribute), rpc.to_token_stream()));
            }
        }
    }
    file.into_token_stream()
}

/// The attribute whose path ends in `name`.
fn take_attribute(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let named = |attribute: &Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name);
    let at = attributes.iter().position(named)?;
    Some(attributes.remove(at))
}

fn arguments(attribute: Attribute) -> TokenStream {
    match attribute.meta {
        Meta::List(list) => list.tokens,
        _ => quote!(),
    }
}

fn pretty(input: &Path, tokens: &TokenStream) -> String {
    let file = syn::parse2(tokens.clone()).unwrap_or_else(|error| unreadable(input, &error, tokens));
    prettyplease::unparse(&file)
}

fn unreadable(input: &Path, error: &syn::Error, tokens: &TokenStream) -> ! {
    panic!("the expansion of {} is not Rust: {error}\n{tokens}", input.display())
}

fn snapshot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name)
}
