//! A release: what can be checked is checked, and the steps that remain are listed.

use std::fs;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Package};
use xshell::cmd;

use crate::project::{Project, WORKSPACES};

/// Checks what has to be true of the commit that becomes a release, and lists what is left to do.
pub(crate) fn run(project: &Project) -> Result<()> {
    let crates = project.published()?;
    let version = crates.first().context("no crate is published")?.version.to_string();
    println!("release {version} of {}\n", names(&crates).join(", "));

    let checks = [
        ("the crates have one version, in all of Cargo.toml", versions(&crates)),
        ("README names it", readme(project, &version)),
        ("CHANGELOG.md has its section", changelog(project, &version)),
        ("the locks are up to date", locks(project)),
        ("nothing is uncommitted", committed(project)),
        ("the tag is new", tag(project, &version)),
    ];
    let mut failed = 0;
    for (name, result) in checks {
        match result {
            Ok(()) => println!("ok      {name}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {name}: {error:#}");
            }
        }
    }
    println!("\nwhat remains:");
    println!("  cargo xtask semver vPREVIOUS              # is the number the right one?");
    println!("  cargo bench --package integration-tests --bench soak # half an hour");
    println!("  .ci/run");
    println!("  git tag v{version} && git push origin v{version}");
    for name in names(&crates) {
        println!("  cargo publish --package {name}");
    }
    ensure!(failed == 0, "{failed} checks failed");
    Ok(())
}

fn names(crates: &[Package]) -> Vec<&str> {
    crates.iter().map(|package| package.name.as_str()).collect()
}

/// Checks that the crates require each other in the version that they have.
fn versions(crates: &[Package]) -> Result<()> {
    let version = &crates[0].version;
    for package in crates {
        ensure!(&package.version == version, "{} has {}", package.name, package.version);
        for dependency in &package.dependencies {
            // A package is published without its dev-dependencies.
            let is_published = dependency.kind != DependencyKind::Development;
            let is_ours = is_published && names(crates).contains(&&*dependency.name);
            let required = dependency.req.to_string();
            ensure!(
                !is_ours || required.trim_start_matches(['=', '^']) == version.to_string(),
                "{} requires {} {required}",
                package.name,
                dependency.name
            );
        }
    }
    Ok(())
}

/// Checks that the README's dependency is compatible with the version.
fn readme(project: &Project, version: &str) -> Result<()> {
    let compatible = match version.strip_prefix("0.") {
        Some(rest) => format!("0.{}", rest.split('.').next().unwrap_or_default()),
        None => version.split('.').next().unwrap_or_default().to_owned(),
    };
    let readme = fs::read_to_string(project.root.join("README.md"))?;
    let names_it = |line: &str| line.starts_with("otel-runtime = ") && line.contains(&format!("\"{compatible}\""));
    ensure!(
        readme.lines().any(names_it),
        "no line `otel-runtime = …` with \"{compatible}\""
    );
    Ok(())
}

fn changelog(project: &Project, version: &str) -> Result<()> {
    let changelog = fs::read_to_string(project.root.join("CHANGELOG.md"))?;
    let section = format!("## [{version}] - ");
    ensure!(
        changelog.lines().any(|line| line.starts_with(&section)),
        "no line `{section}YYYY-MM-DD`"
    );
    Ok(())
}

fn locks(project: &Project) -> Result<()> {
    for manifest in WORKSPACES {
        let metadata = project
            .cargo("metadata --locked --format-version 1 --manifest-path")
            .arg(manifest);
        let result = metadata.quiet().ignore_stdout().ignore_stderr().run();
        result.with_context(|| format!("cargo update --workspace --manifest-path {manifest}"))?;
    }
    Ok(())
}

fn committed(project: &Project) -> Result<()> {
    let changes = cmd!(project.shell, "git status --short").quiet().read()?;
    ensure!(changes.is_empty(), "{} files", changes.lines().count());
    Ok(())
}

fn tag(project: &Project, version: &str) -> Result<()> {
    let tag = format!("v{version}");
    let found = cmd!(project.shell, "git tag --list {tag}").quiet().read()?;
    ensure!(found.is_empty(), "{tag} exists");
    Ok(())
}
