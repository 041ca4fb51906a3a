//! Snapshot tests: each `snapshots/NAME.rs` expands to `snapshots/NAME.expanded.rs`.
//!
//! `cargo xtask snapshots` updates the expansions, here and in the chapter that shows two of them.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, File, ImplItem, Item, ItemImpl, Meta};

use crate::{expand, method};

macro_rules! snapshots {
    ($stages:ident: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let input = read(&snapshot(concat!(stringify!($name), ".rs")));
                let output = snapshot(concat!(stringify!($name), ".expanded.rs"));
                expect_file![output].assert_eq(&prettyplease::unparse(&parse_expansion(&$stages(&input))));
            }
        )*
    };
}

snapshots! { first_stage: handoff errors }

snapshots! { both_stages:
    unary server_stream client_stream bidi
    trait_in_server_module service_literal service_path crate_path
    unnamed_argument destructured_argument default_stub concrete_stream cfg_alternatives
    below_async_trait_unary below_async_trait_stream desugared_by_hand
    boxed_streams
    define_opaque
    fields method_name all_arguments
}

#[test]
fn chapter_shows_the_expansion() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../otel-runtime/docs/expansion.md");
    let page = read(&path);
    expect_file![path].assert_eq(&with_expansions(&page));
}

/// Returns the page with the expansion of each block of code in the block after it.
///
/// Lines that rustdoc hides, which start with `# `, are kept.
fn with_expansions(page: &str) -> String {
    let is_hidden = |line: &&str| line.starts_with("# ");
    let mut parts: Vec<String> = page.split("```\n").map(str::to_owned).collect();
    let annotated = (1..parts.len()).step_by(4);
    assert_eq!(annotated.len(), 2, "the page shows two methods");
    for at in annotated {
        let code: Vec<&str> = parts[at].lines().filter(|line| !is_hidden(line)).collect();
        let expansion = prettyplease::unparse(&parse_expansion(&both_stages(&code.join("\n"))));
        let hidden: Vec<&str> = parts[at + 2].lines().filter(is_hidden).collect();
        parts[at + 2] = format!("{}\n{expansion}", hidden.join("\n"));
    }
    parts.join("```\n")
}

/// Measures how long both stages take for the service in the file named by `COMPILE_COST_SERVICE`.
#[test]
#[ignore = "a measurement, not a test: cargo xtask bench compile-cost runs it"]
fn expansion_time() {
    let text = read(Path::new(
        &std::env::var_os("COMPILE_COST_SERVICE").expect("the path of a service"),
    ));
    let mut service = first_impl(&text);
    let traced_service = take_attribute(&mut service.attrs, "traced_service").expect("the impl has the attribute");
    let (args, item) = (arguments(traced_service), service.to_token_stream());
    let mut times = [0.0; 20].map(|_: f64| {
        let start = std::time::Instant::now();
        let expanded = expand::expand(args.clone(), item.clone());
        let first = start.elapsed();
        // The compiler's own work between the stages is not measured.
        let mut service: ItemImpl = syn::parse2(expanded).expect("the expansion is an impl");
        let methods: Vec<_> = service.items.iter_mut().filter_map(take_rpc_attribute).collect();
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

/// Expands `#[traced_service]` on the first impl in the text.
fn first_stage(text: &str) -> TokenStream {
    let mut service = first_impl(text);
    let traced_service = take_attribute(&mut service.attrs, "traced_service").expect("the impl has the attribute");
    expand::expand(arguments(traced_service), service.to_token_stream())
}

/// Expands `#[traced_service]`, and then `#[rpc]` on each method, as the compiler does.
fn both_stages(text: &str) -> TokenStream {
    let mut file = parse_expansion(&first_stage(text));
    for item in &mut file.items {
        let Item::Impl(service) = item else { continue };
        for item in &mut service.items {
            if let Some((handoff, rpc)) = take_rpc_attribute(item) {
                *item = ImplItem::Verbatim(method::expand(handoff, rpc));
            }
        }
    }
    file.into_token_stream()
}

/// Removes `#[rpc]` from a method, and returns its arguments and the method.
fn take_rpc_attribute(item: &mut ImplItem) -> Option<(TokenStream, TokenStream)> {
    let ImplItem::Fn(rpc) = item else { return None };
    let attribute = take_attribute(&mut rpc.attrs, "rpc")?;
    Some((arguments(attribute), rpc.to_token_stream()))
}

fn first_impl(text: &str) -> ItemImpl {
    let file = syn::parse_file(text).expect("the input is valid Rust");
    let service = file.items.into_iter().find_map(|item| match item {
        Item::Impl(service) => Some(service),
        _ => None,
    });
    service.expect("the input has an impl")
}

/// Removes and returns the attribute whose path ends in `name`.
fn take_attribute(attributes: &mut Vec<Attribute>, name: &str) -> Option<Attribute> {
    let has_name = |attribute: &Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name);
    let index = attributes.iter().position(has_name)?;
    Some(attributes.remove(index))
}

fn arguments(attribute: Attribute) -> TokenStream {
    match attribute.meta {
        Meta::List(list) => list.tokens,
        _ => quote!(),
    }
}

fn parse_expansion(expansion: &TokenStream) -> File {
    syn::parse2(expansion.clone())
        .unwrap_or_else(|error| panic!("the expansion is not valid Rust: {error}\n{expansion}"))
}

fn snapshot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
