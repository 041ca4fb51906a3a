//! Files that tests compare with what the compiler or the macro writes.

use anyhow::Result;
use xshell::cmd;

use crate::project::Project;

/// Rewrites the macro's expansions and the expected compile errors, and lists what has changed.
///
/// A new compile error has no file yet, so the test that looks for one is not run here.
pub(crate) fn run(project: &Project) -> Result<()> {
    let expansions = project.cargo("test --quiet --locked --package otel-macros --lib snapshots");
    expansions.env("UPDATE_EXPECT", "1").run()?;
    let errors = project.cargo("test --quiet --locked --package integration-tests --test ui");
    errors.env("TRYBUILD", "overwrite").run()?;
    println!("\nread what has changed before you commit it:");
    Ok(cmd!(
        project.shell,
        "git status --short -- otel-macros/snapshots otel-runtime/docs tests/ui"
    )
    .quiet()
    .run()?)
}
