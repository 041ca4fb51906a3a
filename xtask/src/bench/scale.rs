//! The cost of tracing to a server under load: `docs/scale.md`.

use anyhow::Result;
use xshell::cmd;

use crate::project::Project;
use crate::tools;

/// Measures servers by the number of streams, on one core and on two, and contention of threads.
///
/// Nothing else may run on the machine.
pub(super) fn run(project: &Project, is_quick: bool) -> Result<()> {
    for (program, package) in [
        ("h2load", "nghttp2-client"),
        ("taskset", "util-linux"),
        ("valgrind", "valgrind"),
    ] {
        tools::require(project, program, package)?;
    }
    let directory = super::build_both(project, "--package scale", "scale", "scale")?;
    let (unbound, quick) = (directory.join("unbound"), is_quick.then_some("--quick"));
    cmd!(project.shell, "{unbound} table {directory} {quick...}").run()?;
    let directory = directory.display();
    println!("\n{directory}/scale.txt, {directory}/scale.json, {directory}/scale.md");
    Ok(())
}
