//! The public interface, compared with that of an earlier revision.

use anyhow::Result;
use xshell::cmd;

use crate::project::Project;
use crate::tools;

const CARGO_SEMVER_CHECKS: &str = "0.47.0";

/// Compares the published crates with those of a revision, and checks that the version fits.
///
/// The documentation of both is built, which takes minutes.
pub(crate) fn run(project: &Project, revision: &str) -> Result<()> {
    tools::require_cargo(project, "semver-checks", CARGO_SEMVER_CHECKS)?;
    let shell = &project.shell;
    // `--baseline-rev` would leave out links, and the README of a crate is one.
    let folder = shell.create_temp_dir()?;
    let earlier = folder.path().join("earlier");
    cmd!(shell, "git worktree add --quiet --detach {earlier} {revision}").run()?;
    let checked = || -> Result<()> {
        for package in project.published()? {
            let name = package.name.as_str();
            // The macro's interface is for otel-runtime of the same version alone.
            if name == "otel-macros" {
                continue;
            }
            if !earlier.join(name).is_dir() {
                println!("{name} is new");
                continue;
            }
            let check = project.cargo("semver-checks --all-features --package").arg(name);
            check.arg("--baseline-root").arg(&earlier).run()?;
        }
        Ok(())
    };
    let result = checked();
    cmd!(shell, "git worktree remove --force {earlier}").run()?;
    result
}
