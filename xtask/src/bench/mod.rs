//! Measurements. `benches/README.md` explains them; `docs/performance.md` and `docs/scale.md` show
//! them.

mod compile_cost;
mod flame;
mod footprint;
mod methods;
mod scale;
mod tables;

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use xshell::cmd;

use crate::project::{BENCHES, Project};
use crate::tools;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measures an RPC, here and in competing crates, and draws docs/bench.svg
    Table,
    /// Fails if an RPC or an open stream costs over 3% more than benches/baseline.tsv says
    Guard {
        /// Rewrites the baseline instead
        #[arg(long)]
        update: bool,
    },
    /// Measures how the cost of an RPC grows with methods, headers, baggage and clients
    Growth,
    /// Draws where the time of a server under load goes: docs/flame-*.svg
    Flame,
    /// Measures servers under load, in about 12 minutes
    Scale {
        /// Takes one minute, for a trial
        #[arg(long)]
        quick: bool,
    },
    /// Measures code per method, and a server of a thousand methods, in half an hour
    Methods {
        /// Skips the servers of a thousand methods, which take most of the time
        #[arg(long)]
        code_only: bool,
    },
    /// Measures the compile time of a service with and without the attribute
    CompileCost {
        /// How often each is built; the median counts
        #[arg(default_value_t = 7)]
        runs: usize,
    },
    /// Measures added packages and build time, here and in competing crates, in ten minutes a round
    Footprint(footprint::Arguments),
}

/// Runs one of the measurements.
pub(crate) fn run(project: &Project, command: Command) -> Result<()> {
    match command {
        Command::Table => table(project),
        Command::Guard { update } => guard(project, update),
        Command::Growth => growth(project),
        Command::Flame => flame::run(project),
        Command::Scale { quick } => scale::run(project, quick),
        Command::Methods { code_only } => methods::run(project, code_only),
        Command::CompileCost { runs } => compile_cost::run(project, runs),
        Command::Footprint(arguments) => footprint::run(project, &arguments),
    }
}

fn table(project: &Project) -> Result<()> {
    let directory = programs(project, "")?;
    let unbound = directory.join("unbound");
    cmd!(project.shell, "{unbound} table {directory}").run()?;
    fs::copy(directory.join("chart.svg"), project.root.join("docs/bench.svg"))?;
    let directory = directory.display();
    println!("\n{directory}/table.txt, {directory}/table.json, docs/bench.svg");
    Ok(())
}

fn growth(project: &Project) -> Result<()> {
    let directory = programs(project, "--no-default-features")?;
    let unbound = directory.join("unbound");
    Ok(cmd!(project.shell, "{unbound} growth {directory}").run()?)
}

fn guard(project: &Project, update: bool) -> Result<()> {
    let directory = programs(project, "--no-default-features")?;
    let unbound = directory.join("unbound");
    let update = update.then_some("--update");
    Ok(cmd!(project.shell, "{unbound} guard {directory} {update...}").run()?)
}

/// Builds `unbound` and `bound`, the two programs that measure, and returns their folder.
fn programs(project: &Project, options: &str) -> Result<PathBuf> {
    // callgrind counts the instructions.
    tools::require(project, "valgrind", "valgrind")?;
    build_both(project, options, "benches", "bench")
}

/// Builds a program without bound instruments and with them, and returns the folder of the two.
fn build_both(project: &Project, options: &str, program: &str, folder: &str) -> Result<PathBuf> {
    let target = project.target_directory(BENCHES)?;
    let directory = project.folder_in_target(BENCHES, folder)?;
    for (name, features) in [("unbound", ""), ("bound", "--features bound")] {
        let build = format!("build --quiet --release --locked --manifest-path {BENCHES} {options} {features}");
        project.cargo(&build).run()?;
        fs::copy(target.join("release").join(program), directory.join(name))?;
    }
    Ok(directory)
}
