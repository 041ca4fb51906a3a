//! What the attribute writes, kept in `snapshots/` to be read: `KIND.rs` becomes `KIND.expanded.rs`.
//!
//! `UPDATE_EXPECT=1 cargo test -p otel-macros` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, File, ImplItem, ImplItemFn, Item, ItemImpl, Meta};

use crate::{expand, method};

macro_rules! snapshots {
    ($stages:ident: $($kind:ident)*) => {
        $(
            #[test]
            fn $kind() {
                let input = read(&snapshot(concat!(stringify!($kind), ".rs")));
                let output = snapshot(concat!(stringify!($kind), ".expanded.rs"));
                expect_file![output].assert_eq(&prettyplease::unparse(&parsed(&$stages(&input))));
            }
        )*
    };
}

snapshots! { first_stage: handoff mistakes }

snapshots! { both_stages:
    unary server_stream client_stream bidi
    trait_in_server_module service_literal service_path crate_path
    unnamed_argument destructured_argument default_stub concrete_stream cfg_twins
    below_async_trait_unary below_async_trait_stream desugared_otherwise
    define_opaque
    fields method_name options
}

#[test]
fn the_readme_shows_what_is_written() {
    let readme = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"));
    let mut code = readme.split("```rust").skip(1).map(|block| {
        let (_flags, code) = block.split_once('\n').expect("a block of code has lines");
        code.split_once("```").expect("a block of code ends").0
    });
    let first = code.next().expect("an example");
    let expanded = code.find(|code| code.contains("static __RPC")).expect("its expansion");

    let item = parsed(&both_stages(first))
        .items
        .into_iter()
        .find_map(|item| match item {
            Item::Impl(service) => service.items.into_iter().next(),
            _ => None,
        });
    let expanded: ImplItemFn = syn::parse_str(expanded).expect("the expansion is a method");
    assert_eq!(
        item.to_token_stream().to_string(),
        expanded.to_token_stream().to_string()
    );
}

/// For `scripts/compile-cost.sh`: how long the service of the file that `COMPILE_COST_SERVICE` names takes.
#[test]
#[ignore = "a measurement, not a test: scripts/compile-cost.sh runs it"]
fn expansion_time() {
    let text = read(Path::new(
        &std::env::var_os("COMPILE_COST_SERVICE").expect("the path of a service"),
    ));
    let mut service = the_impl(&text);
    let traced_service = take_attribute(&mut service.attrs, "traced_service").expect("it has the attribute");
    let (arguments_of_service, item) = (arguments(traced_service), service.to_token_stream());
    let mut times = [0.0; 20].map(|_: f64| {
        let start = std::time::Instant::now();
        let expanded = expand::expand(arguments_of_service.clone(), item.clone());
        let first = start.elapsed();
        // What the compiler does between the stages is not the macro's.
        let mut service: ItemImpl = syn::parse2(expanded).expect("it is an impl");
        let methods: Vec<_> = service.items.iter_mut().filter_map(handed_off).collect();
        assert_eq!(methods.len(), 100);
        let start = std::time::Instant::now();
        for (handoff, rpc) in methods {
            assert!(!method::expand(handoff, rpc).is_empty());
        }
        (first + start.elapsed()).as_secs_f64() * 1000.0
    });
    times.sort_by(f64::total_cmp);
    println!("expansion: {:.1} ms", times[times.len() / 2]);
}

/// The text's first impl, expanded by `#[traced_service]`.
fn first_stage(text: &str) -> TokenStream {
    let mut service = the_impl(text);
    let traced_service = take_attribute(&mut service.attrs, "traced_service").expect("it has the attribute");
    expand::expand(arguments(traced_service), service.to_token_stream())
}

/// The same, and then each method by its `#[rpc]`, as the compiler goes on.
fn both_stages(text: &str) -> TokenStream {
    let mut file = parsed(&first_stage(text));
    for item in &mut file.items {
        let Item::Impl(service) = item else { continue };
        for item in &mut service.items {
            if let Some((handoff, rpc)) = handed_off(item) {
                *item = ImplItem::Verbatim(method::expand(handoff, rpc));
            }
        }
    }
    file.into_token_stream()
}

/// The arguments of a method's `#[rpc]`, and the method without it.
fn handed_off(item: &mut ImplItem) -> Option<(TokenStream, TokenStream)> {
    let ImplItem::Fn(rpc) = item else { return None };
    let attribute = take_attribute(&mut rpc.attrs, "rpc")?;
    Some((arguments(attribute), rpc.to_token_stream()))
}

fn the_impl(text: &str) -> ItemImpl {
    let file = syn::parse_file(text).expect("it is Rust");
    let service = file.items.into_iter().find_map(|item| match item {
        Item::Impl(service) => Some(service),
        _ => None,
    });
    service.expect("it has an impl")
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

fn parsed(expansion: &TokenStream) -> File {
    syn::parse2(expansion.clone()).unwrap_or_else(|error| panic!("the expansion is not Rust: {error}\n{expansion}"))
}

fn snapshot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
