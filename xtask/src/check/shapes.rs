//! Lints of the services in `tests/ui/pass`: with the attribute, none fires that would not fire
//! without it.
//!
//! Each file is linted as it is and with the attribute disabled, and those of `each_order` with the
//! attribute above `#[async_trait]`, below it, and without `#[async_trait]`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use cargo_metadata::Message;
use cargo_metadata::diagnostic::DiagnosticLevel;

use crate::project::Project;

#[path = "../../../tests/ui/services.rs"]
mod services;

use services::{Service, accepted};

const MANIFEST: &str = include_str!("../../templates/shapes/Cargo.toml.in");
/// The folder of the services.
const ACCEPTED: &str = "tests/ui/pass";

/// Clippy's groups, and lints of the compiler that are off by default.
const LINTS: &str = "clippy::all, clippy::pedantic, clippy::nursery, future_incompatible, keyword_idents, \
                     let_underscore, rust_2018_idioms, rust_2024_compatibility, unused, \
                     elided_lifetimes_in_paths, explicit_outlives_requirements, macro_use_extern_crate, \
                     meta_variable_misuse, missing_abi, non_ascii_idents, redundant_lifetimes, \
                     single_use_lifetimes, trivial_casts, trivial_numeric_casts, unit_bindings, \
                     unnameable_types, unsafe_op_in_unsafe_fn, unused_extern_crates, \
                     unused_import_braces, unused_lifetimes, unused_qualifications, unused_results, \
                     variant_size_differences";

/// A warning: the file, the lint, and the line.
type Warning = (String, String, usize);

/// Lints every service with the attribute and without it, and compares the warnings.
pub(super) fn linted(project: &Project) -> Result<()> {
    let folder = project.folder_in_target("Cargo.toml", "shapes")?;
    let services = accepted(&project.root.join(ACCEPTED))?;
    write_package(project, &folder, "with", &services)?;
    let disabled = services.iter().map(|service| Service {
        name: service.name.clone(),
        code: without_attribute(&service.code),
    });
    write_package(project, &folder, "without", &disabled.collect::<Vec<_>>())?;
    let workspace = "[workspace]\nresolver = \"3\"\nmembers = [\"with\", \"without\"]\n";
    fs::write(folder.join("Cargo.toml"), workspace)?;
    fs::copy(project.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let with = warnings(project, &folder, "with")?;
    let without = warnings(project, &folder, "without")?;
    println!(
        "{} services, in every order; {} warnings without the attribute",
        services.len(),
        without.len()
    );
    for (file, lint, line) in without.difference(&with) {
        println!("not with the attribute: {file}:{line}: {lint}");
    }
    let ours: Vec<String> = with
        .difference(&without)
        .map(|(file, lint, line)| format!("{file}:{line}: {lint}"))
        .collect();
    ensure!(ours.is_empty(), "only with the attribute:\n{}", ours.join("\n"));
    Ok(())
}

/// Writes a package with a module for each service.
fn write_package(project: &Project, folder: &Path, package: &str, services: &[Service]) -> Result<()> {
    let folder = folder.join(package);
    let source = folder.join("src");
    project.shell.remove_path(&source)?;
    project.shell.create_dir(&source)?;
    let allowed = match package {
        "with" => "dead_code, unexpected_cfgs",
        // The import of the attribute is.
        _ => "dead_code, unexpected_cfgs, unused_imports",
    };
    let mut library = format!("//! Services {package} the attribute.\n#![warn({LINTS})]\n#![allow({allowed})]\n");
    for Service { name, code } in services {
        fs::write(source.join(format!("{name}.rs")), code)?;
        writeln!(library, "mod {name};")?;
    }
    fs::write(source.join("lib.rs"), library)?;
    let root = project.root.display().to_string();
    let manifest = MANIFEST.replace("{name}", package).replace("{root}", &root);
    Ok(fs::write(folder.join("Cargo.toml"), manifest)?)
}

/// Disables `#[traced_service]` and `#[traced]`. Every line keeps its number.
fn without_attribute(code: &str) -> String {
    let mut left = code;
    let mut disabled = String::new();
    while let Some(start) = left.find("#[") {
        let (before, attribute) = left.split_at(start + "#[".len());
        let (attribute, after) = attribute.split_at(closing_bracket(attribute));
        disabled += before;
        let path = attribute.split(['(', ' ']).next().unwrap_or_default();
        match path.rsplit("::").next() {
            Some("traced_service" | "traced") => disabled.extend(["cfg_attr(any(), ", attribute, ")"]),
            Some("cfg_attr") => disabled += &attribute.replace(", traced_service", ""),
            _ => disabled += attribute,
        }
        left = after;
    }
    disabled + left
}

/// Returns the position of the bracket that closes an attribute.
fn closing_bracket(attribute: &str) -> usize {
    let mut open = 0_usize;
    let closing = attribute.char_indices().find(|(_, character)| {
        match character {
            '[' => open += 1,
            ']' if open == 0 => return true,
            ']' => open -= 1,
            _ => {}
        }
        false
    });
    closing.map_or(attribute.len(), |(position, _)| position)
}

/// Returns the warnings in a package.
fn warnings(project: &Project, folder: &Path, package: &str) -> Result<BTreeSet<Warning>> {
    let target = project.target_directory("Cargo.toml")?;
    let command = project
        .cargo("clippy --quiet --message-format json --manifest-path")
        .arg(folder.join(package).join("Cargo.toml"))
        // Files deny warnings.
        .args(["--", "--cap-lints", "warn"]);
    let output = command
        .env("CARGO_TARGET_DIR", &target)
        .quiet()
        .ignore_status()
        .output()?;
    let mut warnings = BTreeSet::new();
    let mut errors = Vec::new();
    for message in Message::parse_stream(&*output.stdout) {
        let Message::CompilerMessage(message) = message? else {
            continue;
        };
        let message = message.message;
        if message.level != DiagnosticLevel::Warning {
            errors.extend(message.rendered);
        } else if let Some(code) = message.code
            && let Some(span) = message.spans.iter().find(|span| span.is_primary)
        {
            let file = span.file_name.rsplit('/').next().unwrap_or_default();
            warnings.insert((file.to_owned(), code.code, span.line_start));
        }
    }
    ensure!(
        errors.is_empty() && output.status.success(),
        "{}\n{}",
        errors.concat(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_disabled_where_they_are() {
        for (code, expected) in [
            (
                "#[traced_service]\nimpl A {}",
                "#[cfg_attr(any(), traced_service)]\nimpl A {}",
            ),
            (
                "#[otel_runtime::traced_service(\n    skip(a),\n    list = [1],\n)]",
                "#[cfg_attr(any(), otel_runtime::traced_service(\n    skip(a),\n    list = [1],\n))]",
            ),
            (
                "#[traced(skip)] #[inline]",
                "#[cfg_attr(any(), traced(skip))] #[inline]",
            ),
            (
                "#[cfg_attr(unix, traced_service, allow(x))]",
                "#[cfg_attr(unix, allow(x))]",
            ),
            (
                "use traced_service;\n#![deny(warnings)]",
                "use traced_service;\n#![deny(warnings)]",
            ),
        ] {
            assert_eq!(without_attribute(code), expected);
        }
    }
}
