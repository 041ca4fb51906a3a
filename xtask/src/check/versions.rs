//! The versions and licenses of what the published crates depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand, PackageId};

use crate::project::Project;
use crate::tools;

const CARGO_DENY: &str = "0.20.2";

/// Checks licenses, sources and duplicate versions.
pub(super) fn deny(project: &Project) -> Result<()> {
    tools::require_cargo(project, "deny", CARGO_DENY)?;
    Ok(project.cargo("deny --locked check bans licenses sources").run()?)
}

/// Checks that no dependency needs a newer compiler than the crates.
///
/// The oldest compiler itself is not needed: clippy's `incompatible_msrv` checks the crates' own
/// code.
pub(super) fn rust_version(project: &Project) -> Result<()> {
    let mut command = MetadataCommand::new();
    command
        .manifest_path(project.root.join("Cargo.toml"))
        .features(CargoOpt::AllFeatures);
    let metadata = command.other_options(["--locked".to_owned()]).exec()?;
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo has not resolved the dependencies")?;
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();

    let published: Vec<_> = project.published()?.into_iter().map(|package| package.id).collect();
    let oldest = metadata[&published[0]]
        .rust_version
        .clone()
        .context("the crates have no rust-version")?;
    let mut todo: Vec<&PackageId> = published.iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if seen.insert(id) {
            let needed = nodes[id].deps.iter();
            let needed = needed.filter(|dep| {
                dep.dep_kinds
                    .iter()
                    .any(|kind| kind.kind != DependencyKind::Development)
            });
            todo.extend(needed.map(|dep| &dep.pkg));
        }
    }
    let minor = |version: &cargo_metadata::semver::Version| (version.major, version.minor);
    let packages = seen.iter().map(|id| &metadata[*id]);
    let newer = packages.filter(|package| {
        let needs = package.rust_version.as_ref();
        needs.is_some_and(|needs| minor(needs) > minor(&oldest))
    });
    let newer: Vec<String> = newer
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    ensure!(
        newer.is_empty(),
        "these need a newer compiler than Rust {oldest}: {}",
        newer.join(", ")
    );
    println!("{} packages, all for Rust {oldest} or older", seen.len());
    Ok(())
}

/// Builds the crates with the lowest versions that they allow of their direct dependencies.
///
/// Indirect dependencies have their newest versions.
pub(super) fn minimal(project: &Project) -> Result<()> {
    let target = project.target_directory("Cargo.toml")?;
    let copy = target.join("minimal-versions");
    project.shell.remove_path(&copy)?;
    fs::create_dir_all(&copy)?;

    let names: Vec<String> = project
        .published()?
        .into_iter()
        .map(|package| package.name.to_string())
        .collect();
    let workspace = fs::read_to_string(project.root.join("Cargo.toml"))?;
    fs::write(copy.join("Cargo.toml"), with_members(&workspace, &names))?;
    for name in &names {
        copy_all(&project.root.join(name), &copy.join(name))?;
        let manifest = copy.join(name).join("Cargo.toml");
        let text = without_dev_dependencies(&fs::read_to_string(&manifest)?);
        fs::write(manifest, text)?;
    }

    let _there = project.shell.push_dir(&copy);
    let lock = project.cargo("-Z direct-minimal-versions generate-lockfile --quiet");
    lock.env("RUSTC_BOOTSTRAP", "1").run()?;
    let check = project.cargo("check --quiet --workspace --all-features --locked");
    Ok(check
        .env("CARGO_TARGET_DIR", target.join("minimal-versions-built"))
        .run()?)
}

/// Copies a folder, with the targets of its links in place of them.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let copy = to.join(path.file_name().context("it has no name")?);
        if path.is_dir() {
            copy_all(&path, &copy)?;
        } else {
            fs::copy(path, copy)?;
        }
    }
    Ok(())
}

/// Replaces the members of a workspace.
fn with_members(manifest: &str, members: &[String]) -> String {
    let lines = manifest.lines().filter(|line| !line.starts_with("default-members"));
    let lines = lines.map(|line| {
        if line.starts_with("members = ") {
            format!("members = {members:?}\n")
        } else {
            format!("{line}\n")
        }
    });
    lines.collect()
}

/// Removes the dependencies of tests, whose versions do not matter to users.
fn without_dev_dependencies(manifest: &str) -> String {
    let mut is_removed = false;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_removed = line == "[dev-dependencies]";
        }
        if !is_removed {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{with_members, without_dev_dependencies};

    #[test]
    fn the_copy_has_the_published_crates_alone() {
        let manifest = "[workspace]\nmembers = [\"a\", \"tests\"]\ndefault-members = [\"a\"]\n[profile]\n";
        let copy = with_members(manifest, &["a".to_owned(), "b".to_owned()]);
        assert_eq!(copy, "[workspace]\nmembers = [\"a\", \"b\"]\n[profile]\n");
    }

    #[test]
    fn dev_dependencies_are_removed_up_to_the_next_table() {
        let manifest = "[dependencies]\na = \"1\"\n\n[dev-dependencies]\nb = \"1\"\n\n[lints]\nworkspace = true\n";
        let expected = "[dependencies]\na = \"1\"\n\n[lints]\nworkspace = true\n";
        assert_eq!(without_dev_dependencies(manifest), expected);
    }
}
