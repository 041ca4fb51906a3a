//! Finds the path of otel-runtime, if the argument `crate` does not tell it.
//!
//! A macro with attributes has no `$crate`. `Cargo.toml` shows whether the crate is renamed, and
//! reading it takes some microseconds per impl. Only lines are compared: a parser of TOML would be
//! most of what this crate takes to compile.

use std::path::PathBuf;
use std::{env, fs};

use proc_macro2::Span;
use syn::{Error, Ident, Path, Result, parse_quote};

const PACKAGE: &str = "otel-runtime";

/// Returns `::otel_runtime`, or the name that `Cargo.toml` gives to that dependency.
pub(crate) fn find() -> Result<Path> {
    let directory = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    // Without cargo, there is no manifest.
    match directory.and_then(|directory| fs::read_to_string(directory.join("Cargo.toml")).ok()) {
        Some(manifest) => in_manifest(&manifest),
        None => Ok(default()),
    }
}

fn default() -> Path {
    parse_quote!(::otel_runtime)
}

fn in_manifest(manifest: &str) -> Result<Path> {
    let mut table = "";
    let mut renamed = None;
    for line in manifest.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            table = unquoted(header.rsplit('.').next().unwrap_or_default());
        }
        let key = unquoted(line.split(['=', '.']).next().unwrap_or_default());
        if is_runtime(table) || is_runtime(key) {
            return Ok(default());
        }
        if names_package(line) {
            renamed = Some(if key == "package" { table } else { key });
        }
    }
    let renamed = renamed.and_then(|name| syn::parse_str::<Ident>(&name.replace('-', "_")).ok());
    match renamed {
        Some(name) => Ok(parse_quote!(::#name)),
        // In a comment, in the name of this package, or in a form that is not known here.
        None if manifest.contains(PACKAGE) || manifest.contains("otel_runtime") => Ok(default()),
        None => Err(Error::new(
            Span::call_site(),
            "`otel-runtime` is not among the dependencies in Cargo.toml; write `crate = path::to::otel_runtime`",
        )),
    }
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

fn is_runtime(name: &str) -> bool {
    name == PACKAGE || name == "otel_runtime"
}

/// Returns true if the line contains `package = "otel-runtime"`.
fn names_package(line: &str) -> bool {
    line.match_indices("package").any(|(at, key)| {
        let value = line[at + key.len()..].trim_start().strip_prefix('=');
        value.is_some_and(|value| {
            value
                .split([',', '}', '#'])
                .next()
                .is_some_and(|value| unquoted(value) == PACKAGE)
        })
    })
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    fn path_in(manifest: &str) -> String {
        in_manifest(manifest).map_or_else(|error| error.to_string(), |path| path.to_token_stream().to_string())
    }

    #[test]
    fn reads_the_name_of_the_dependency() {
        for (manifest, path) in [
            ("[dependencies]\notel-runtime = \"0.1\"", ":: otel_runtime"),
            ("[dependencies]\notel-runtime.workspace = true", ":: otel_runtime"),
            (
                "[dependencies]\n\"otel-runtime\" = { version = \"0.1\" }",
                ":: otel_runtime",
            ),
            (
                "[target.'cfg(unix)'.dependencies.otel-runtime]\nversion = \"0.1\"",
                ":: otel_runtime",
            ),
            (
                "[dependencies]\notel = { package = \"otel-runtime\", version = \"0.1\" }",
                ":: otel",
            ),
            (
                "[dependencies]\notel = { version = \"0.1\", package='otel-runtime' }",
                ":: otel",
            ),
            (
                "[dependencies.grpc-tracing]\nversion = \"0.1\"\npackage = \"otel-runtime\" # why",
                ":: grpc_tracing",
            ),
            (
                "[dependencies]\nother = { package = \"otel-runtime-2\" } # otel-runtime",
                ":: otel_runtime",
            ),
            ("[package]\nname = \"otel-runtime\"", ":: otel_runtime"),
            (
                "[dependencies]\notel-runtime = \"0.1\"\nold = { package = \"otel-runtime\", version = \"0.0\" }",
                ":: otel_runtime",
            ),
            (
                "[dependencies]\nold = { package = \"otel-runtime\", version = \"0.0\" }\notel-runtime = \"0.1\"",
                ":: otel_runtime",
            ),
        ] {
            assert_eq!(path_in(manifest), path, "{manifest}");
        }
    }

    #[test]
    fn asks_for_the_path_without_a_dependency() {
        assert_eq!(
            path_in("[dependencies]\ntelemetry = \"1\""),
            "`otel-runtime` is not among the dependencies in Cargo.toml; write `crate = path::to::otel_runtime`"
        );
    }
}
