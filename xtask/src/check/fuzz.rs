//! The fuzz targets, for a few seconds each.

use anyhow::Result;

use crate::project::{FUZZ, Project};
use crate::tools;

const CARGO_FUZZ: &str = "0.13.2";

/// Runs every target on its corpus and for ten seconds more.
///
/// New inputs stay out of the corpus, as `fuzz/README.md` says.
pub(super) fn run(project: &Project) -> Result<()> {
    tools::require_cargo(project, "fuzz", CARGO_FUZZ)?;
    project
        .cargo(&format!("update --quiet --manifest-path {FUZZ} --workspace --locked"))
        .run()?;
    let _there = project.shell.push_dir("fuzz");
    project.cargo("fuzz build --sanitizer none").run()?;
    for target in project.cargo("fuzz list").read()?.lines() {
        let found = format!("target/found/{target}");
        project.shell.create_dir(&found)?;
        let fuzz = project.cargo(&format!("fuzz run --sanitizer none {target} {found} corpus/{target}"));
        let limits = "-- -max_total_time=10 -timeout=10 -verbosity=0 -print_final_stats=1";
        fuzz.args(limits.split(' ')).run()?;
    }
    Ok(())
}
