//! The repository: its root, its workspaces, its published crates, and cargo run in it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use xshell::{Cmd, Shell, cmd};

/// The manifests of all workspaces. Those below the root have a lock of their own.
pub(crate) const WORKSPACES: [&str; 5] = ["Cargo.toml", BENCHES, FUZZ, JAEGER, SERVICES];
/// The benchmarks, with the crates that otel-runtime is compared with.
pub(crate) const BENCHES: &str = "benches/Cargo.toml";
/// The fuzz targets.
pub(crate) const FUZZ: &str = "fuzz/Cargo.toml";
/// Jaeger's interface, which needs protoc.
pub(crate) const JAEGER: &str = "examples/jaeger/Cargo.toml";
/// The services of other people's crates.
pub(crate) const SERVICES: &str = "peers/services/Cargo.toml";

/// The repository, with a shell in its root.
pub(crate) struct Project {
    pub(crate) shell: Shell,
    pub(crate) root: PathBuf,
}

impl Project {
    /// Opens the repository that this program belongs to.
    pub(crate) fn open() -> Result<Self> {
        // `cargo run` sets the variable. The path from the build would be wrong if checkouts shared
        // their target directory.
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.parent().context("xtask has no parent folder")?.to_owned();
        let shell = Shell::new()?;
        shell.change_dir(&root);
        Ok(Project { shell, root })
    }

    /// Returns `cargo` with these arguments, which are separated by white space.
    pub(crate) fn cargo(&self, arguments: &str) -> Cmd<'_> {
        let arguments = arguments.split_whitespace();
        let mut command = cmd!(self.shell, "cargo {arguments...}");
        // `cargo run` has set these for xtask. Build scripts that are run again if one changes
        // would be run after every change between `cargo xtask` and plain cargo.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command = command.env_remove(&*name);
            }
        }
        command
    }

    /// Reads what cargo knows of a workspace, without its dependencies.
    pub(crate) fn metadata(&self, manifest: &str) -> Result<Metadata> {
        let mut command = MetadataCommand::new();
        command.manifest_path(self.root.join(manifest)).no_deps();
        command.exec().with_context(|| format!("cannot read {manifest}"))
    }

    /// Returns where cargo builds a workspace.
    pub(crate) fn target_directory(&self, manifest: &str) -> Result<PathBuf> {
        Ok(self.metadata(manifest)?.target_directory.into_std_path_buf())
    }

    /// Makes a folder in the target directory of a workspace, and returns its path.
    pub(crate) fn folder_in_target(&self, manifest: &str, name: impl AsRef<Path>) -> Result<PathBuf> {
        let folder = self.target_directory(manifest)?.join(name);
        self.shell.create_dir(&folder)?;
        Ok(folder)
    }

    /// Returns the crates that are published, in the order in which they depend on each other.
    pub(crate) fn published(&self) -> Result<Vec<Package>> {
        let metadata = self.metadata("Cargo.toml")?;
        let is_published = |package: &Package| package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
        let mut left: Vec<Package> = metadata.packages.into_iter().filter(is_published).collect();
        let mut sorted = Vec::new();
        while !left.is_empty() {
            let needs = |package: &Package, other: &Package| {
                let mut dependencies = package.dependencies.iter();
                dependencies.any(|it| it.kind != DependencyKind::Development && it.name == *other.name)
            };
            let is_ready = |package: &Package| !left.iter().any(|other| needs(package, other));
            let ready = left.iter().position(is_ready);
            let ready = ready.context("the published crates depend on each other in a circle")?;
            sorted.push(left.remove(ready));
        }
        Ok(sorted)
    }
}
