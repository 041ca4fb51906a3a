//! Flame graphs of servers under load: `docs/flame-*.svg`.

use anyhow::Result;
use xshell::cmd;

use crate::project::{BENCHES, Project};
use crate::tools;

/// Draws a flame graph of a bare server, of one with the attribute, and of one with both.
pub(super) fn run(project: &Project) -> Result<()> {
    for (program, package) in [("perf", "linux-perf"), ("h2load", "nghttp2-client")] {
        tools::require(project, program, package)?;
    }
    let build = |options| format!("build --quiet --release --locked --manifest-path {BENCHES} {options}");
    project.cargo(&build("--package flame")).run()?;
    // perf follows the stack by its frame pointers.
    let server = project.cargo(&build("--package scale --features bound"));
    server.env("RUSTFLAGS", "-C force-frame-pointers=yes").run()?;
    let scratch = project.folder_in_target(BENCHES, "flame")?;
    let programs = project.target_directory(BENCHES)?.join("release");
    let (flame, server) = (programs.join("flame"), programs.join("scale"));
    let graphs = project.root.join("docs");
    Ok(cmd!(project.shell, "{flame} {server} {scratch} {graphs}").run()?)
}
