//! Compares the compile errors of the attribute with their tests and their documentation.
//!
//! Each message in the sources is in a file of `tests/ui/fail/` (that about `Cargo.toml` is in a
//! unit test), and in a table of the chapter
//! `otel-runtime/docs/compile_errors.md`. Each message in the tables is in a file, too.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::LitStr;

/// The sources of otel-runtime whose `#[diagnostic::on_unimplemented]` users of the attribute see.
const DIAGNOSTICS: [&str; 3] = [
    "attributes/field_value.rs",
    "server/handler/boxed_stream.rs",
    "server/handler/respond.rs",
];

#[test]
fn every_message_is_tested_and_documented() {
    // A file of tests/ui/fail cannot choose its Cargo.toml, so that message has a unit test.
    let outputs = compiler_outputs() + &read(&root().join("otel-macros/src/runtime_path.rs"));
    let documented = documented_messages();
    let mut offenses = Vec::new();
    for message in messages() {
        if !outputs.lines().any(|line| matches(line, &message)) {
            offenses.push(format!("no file of tests/ui/fail has: {message}"));
        }
        if !documented.iter().any(|text| matches(text, &message)) {
            offenses.push(format!("compile_errors.md lacks: {message}"));
        }
    }
    for message in documented {
        if !outputs.lines().any(|line| matches(line, &message)) {
            offenses.push(format!("no file of tests/ui/fail has the documented: {message}"));
        }
    }
    assert!(offenses.is_empty(), "{}", offenses.join("\n"));
}

/// Returns true if the line contains the message, with any text in place of each `…`.
fn matches(line: &str, message: &str) -> bool {
    let mut rest = line;
    message.split('…').all(|part| {
        let found = rest.find(part);
        found.is_some_and(|at| {
            rest = &rest[at + part.len()..];
            true
        })
    })
}

/// Returns the messages of the attribute, with `…` in place of each argument of `format!`.
fn messages() -> Vec<String> {
    let mut messages = Vec::new();
    for path in files(&root().join("otel-macros/src"), "rs") {
        if !["messages.rs", "snapshots.rs"].iter().any(|name| path.ends_with(name)) {
            collect(read(&path).parse().expect("a source is valid Rust"), &mut messages);
        }
    }
    for name in DIAGNOSTICS {
        let source = read(&root().join("otel-runtime/src").join(name));
        for message in source.split("message = ").skip(1) {
            let message = message.lines().next().unwrap_or_default().trim_end_matches(',');
            let message: LitStr = syn::parse_str(message).expect("the message is a string");
            messages.push(with_ellipses(&message.value()));
        }
    }
    assert!(messages.len() > 30, "{messages:#?}");
    messages
}

/// Appends every string of at least two words that is not in an attribute, a call of `expect`, or
/// the module `tests`.
fn collect(tokens: TokenStream, messages: &mut Vec<String>) {
    let mut before = [String::new(), String::new()];
    for token in tokens {
        match &token {
            TokenTree::Group(group) => {
                let is_attribute =
                    group.delimiter() == Delimiter::Bracket && (before[1] == "#" || before == ["#", "!"]);
                let is_skipped = is_attribute || before[1] == "expect" || before == ["mod", "tests"];
                if !is_skipped {
                    collect(group.stream(), messages);
                }
            }
            TokenTree::Literal(_) => {
                if let Ok(text) = syn::parse2::<LitStr>(token.clone().into())
                    && is_message(&text.value())
                {
                    messages.push(with_ellipses(&text.value()));
                }
            }
            _ => {}
        }
        let name = match &token {
            TokenTree::Group(_) => String::new(),
            other => other.to_string(),
        };
        before.rotate_left(1);
        before[1] = name;
    }
}

/// Returns true for words with spaces between them. Other strings are names and separators.
fn is_message(text: &str) -> bool {
    text.contains(' ') && text.contains(char::is_alphabetic)
}

/// Replaces the placeholders of a format string, which no space follows.
fn with_ellipses(template: &str) -> String {
    let mut parts = template.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('}') {
            Some((name, after)) if !name.starts_with(' ') => {
                text.push('…');
                text.push_str(after);
            }
            _ => {
                text.push('{');
                text.push_str(part);
            }
        }
    }
    text
}

/// Returns the first column of the tables.
fn documented_messages() -> Vec<String> {
    let page = read(&root().join("otel-runtime/docs/compile_errors.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `` "));
    let messages = rows.map(|row| {
        row.split_once(" `` |")
            .expect("a message ends with two backticks")
            .0
            .to_owned()
    });
    messages.collect()
}

/// Returns all `.stderr` files, one after the other.
fn compiler_outputs() -> String {
    let files = files(&root().join("tests/ui/fail"), "stderr");
    files.iter().map(|path| read(path)).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder exists");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
