//! Programs that cargo does not bring, installed if they are missing.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::project::Project;

/// Installs the Debian package of a program that is not on the path.
pub(crate) fn require(project: &Project, program: &str, package: &str) -> Result<()> {
    if is_on_path(program) {
        return Ok(());
    }
    let shell = &project.shell;
    let install = || -> xshell::Result<()> {
        cmd!(shell, "apt-get update --quiet --quiet").run()?;
        cmd!(
            shell,
            "apt-get install --quiet --quiet --yes --no-install-recommends {package}"
        )
        .run()
    };
    eprintln!("{program} is not on the path; installing the Debian package {package}");
    match install() {
        Ok(()) if is_on_path(program) => Ok(()),
        _ => bail!("{program} is missing; install it, on Debian with: apt-get install {package}"),
    }
}

fn is_on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Installs a cargo subcommand in this version, and puts it on the path of the project's shell.
pub(crate) fn require_cargo(project: &Project, subcommand: &str, version: &str) -> Result<()> {
    let tools = project.target_directory("Cargo.toml")?.join("tools");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools.join("bin")].into_iter().chain(env::split_paths(&path)))?;
    project.shell.set_var("PATH", path);
    let found = project
        .cargo(&format!("{subcommand} --version"))
        .quiet()
        .ignore_stderr()
        .read();
    if found.is_ok_and(|found| found.ends_with(&format!(" {version}"))) {
        return Ok(());
    }
    let package = format!("cargo-{subcommand}@{version}");
    let install = project
        .cargo("install --quiet --locked --root")
        .arg(tools)
        .arg(&package);
    install.run().with_context(|| format!("cannot install {package}"))
}

/// Installs the source of the standard library, from which it is built for other targets.
pub(crate) fn require_library_source(project: &Project) -> Result<()> {
    let shell = &project.shell;
    let sysroot = cmd!(shell, "rustc --print sysroot").quiet().read()?;
    if shell.path_exists(Path::new(&sysroot).join("lib/rustlib/src/rust/library")) {
        return Ok(());
    }
    let install = cmd!(shell, "rustup component add rust-src");
    install
        .run()
        .context("the standard library's source is missing; install it with: rustup component add rust-src")
}
