//! The published crates: their packages, their features, and their pages on docs.rs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::project::Project;
use crate::tools;

const CARGO_HACK: &str = "0.6.46";

/// The top level of every package.
const CONTENTS: [&str; 8] = [
    ".cargo_vcs_info.json",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "src",
];

/// Returns the additional entries at the top level of a package.
fn more_contents(package: &str) -> &'static [&'static str] {
    match package {
        "otel-macros" => &["snapshots"],
        "otel-runtime" => &["docs"],
        "otel-setup" => &["docs", "examples"],
        _ => &[],
    }
}

/// Pages with the badge of a feature: the crate, the page and the feature.
const BADGES: [(&str, &str, &str); 3] = [
    ("otel-runtime", "otel_runtime/type.TracedChannel.html", "channel"),
    ("otel-setup", "otel_setup/enum.Protocol.html", "otlp"),
    ("otel-setup", "otel_setup/testing/index.html", "testing"),
];

/// Builds the documentation as docs.rs does, with the badges of features.
///
/// The badges are unstable, so the compiler has to believe that it is a nightly one.
pub(super) fn documented_as_on_docs_rs(project: &Project) -> Result<()> {
    let target = project.target_directory("Cargo.toml")?.join("docsrs");
    for (package, page, feature) in BADGES {
        let rustdoc = format!("rustdoc --package {package} --all-features --locked -- --cfg docsrs -D warnings");
        let rustdoc = project.cargo(&rustdoc).env("RUSTC_BOOTSTRAP", "1");
        rustdoc.env("CARGO_TARGET_DIR", &target).run()?;
        let html =
            fs::read_to_string(target.join("doc").join(page)).with_context(|| format!("there is no page {page}"))?;
        let has_badge = |line: &str| {
            let badge = line
                .split_once("Available on ")
                .and_then(|(_, badge)| badge.split_once("crate feature "));
            badge.is_some_and(|(_, features)| features.contains(feature))
        };
        ensure!(
            html.lines().any(has_badge),
            "{page} does not say that it needs the feature {feature}"
        );
    }
    Ok(())
}

/// Builds the crates with no feature, with each alone, and with each two.
pub(super) fn features(project: &Project) -> Result<()> {
    tools::require_cargo(project, "hack", CARGO_HACK)?;
    let lints = "--package otel-runtime --package otel-setup --lib --locked -- -D warnings";
    project.cargo(&format!("hack clippy --each-feature {lints}")).run()?;
    let pairs = "--feature-powerset --depth 2 --exclude-features default";
    Ok(project.cargo(&format!("hack clippy {pairs} {lints}")).run()?)
}

/// Builds otel-runtime for a browser, with a standard library from its source.
///
/// Not every machine can install the target. Building the library is unstable, so the compiler has
/// to believe that it is a nightly one.
pub(super) fn for_browsers(project: &Project) -> Result<()> {
    tools::require_library_source(project)?;
    let target = project.target_directory("Cargo.toml")?.join("wasm");
    let options = "--target wasm32-unknown-unknown -Z build-std=std,panic_abort";
    let check = format!("check --quiet --package otel-runtime --no-default-features --locked {options}");
    let check = project.cargo(&check).env("RUSTC_BOOTSTRAP", "1");
    Ok(check.env("CARGO_TARGET_DIR", target).run()?)
}

/// Compares the top level of each package with the expected one.
pub(super) fn contents(project: &Project) -> Result<()> {
    for package in project.published()? {
        let name = package.name.as_str();
        let list = project
            .cargo("package --list --locked --allow-dirty --package")
            .arg(name)
            .read()?;
        let found: BTreeSet<&str> = list.lines().filter_map(|path| path.split('/').next()).collect();
        let expected: BTreeSet<&str> = CONTENTS.iter().chain(more_contents(name)).copied().collect();
        let (missing, unexpected) = (&expected - &found, &found - &expected);
        ensure!(
            missing.is_empty() && unexpected.is_empty(),
            "the package of {name} lacks {missing:?}, and has {unexpected:?} in addition"
        );
        // A license that is a link in the repository has to be its text in the package.
        for (file, text) in [
            ("LICENSE-APACHE", "Apache License"),
            ("LICENSE-MIT", "Permission is hereby granted"),
        ] {
            let license = fs::read_to_string(project.root.join(name).join(file))?;
            ensure!(license.contains(text), "{name}/{file} is not the license's text");
        }
    }
    Ok(())
}

/// Builds the crates, as they would be published, from nothing but their packages.
///
/// Cargo takes packages of one name and version for the same. What an earlier run has unpacked in
/// cargo's home or built would be taken for what is packaged now.
pub(super) fn packaged(project: &Project) -> Result<()> {
    remove_unpacked(project)?;
    let target = project.target_directory("Cargo.toml")?.join("packages");
    let names = project.published()?.into_iter().map(|package| package.name.to_string());
    let packages: Vec<String> = names.flat_map(|name| ["--package".to_owned(), name]).collect();
    for command in ["clean --quiet --locked", "package --quiet --locked --allow-dirty"] {
        let command = project.cargo(command).args(&packages);
        command.env("CARGO_TARGET_DIR", &target).run()?;
    }
    Ok(())
}

/// Removes what earlier runs of `cargo package` have unpacked of the published crates.
fn remove_unpacked(project: &Project) -> Result<()> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.context("cargo has no home: set CARGO_HOME")?.join("registry/src");
    if !sources.exists() {
        return Ok(());
    }
    for registry in fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))? {
        let registry = registry?;
        // A registry on the disk has no host, with which the folder's name would begin.
        if !registry.file_name().to_string_lossy().starts_with('-') {
            continue;
        }
        for package in project.published()? {
            let unpacked = registry.path().join(format!("{}-{}", package.name, package.version));
            if unpacked.exists() {
                fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;
            }
        }
    }
    Ok(())
}
