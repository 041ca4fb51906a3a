//! The commands of a contributor: `cargo xtask --help`.

mod bench;
mod check;
mod peers;
mod project;
mod prose;
mod release;
mod sanitize;
mod screenshot;
mod semver;
mod snapshots;
mod times;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::project::Project;

/// The commands of a contributor.
///
/// Each prints the commands that it runs, and stops at the first that fails.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the checks besides the tests, or some of them: `--list` says what each step checks
    Check(check::Arguments),
    /// Runs the tests that need Rust and nothing else: `cargo test --locked`
    Test {
        /// Arguments for `cargo test`, such as `--test server streaming`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the tests against other languages, Prometheus, valgrind and other crates, or some
    Peers(peers::Arguments),
    /// Measures what tracing costs
    #[command(subcommand)]
    Bench(bench::Command),
    /// Looks for undefined behavior with miri, and for data races with the thread sanitizer
    Sanitize(sanitize::Arguments),
    /// Rewrites the macro's expansion snapshots and the expected compile errors
    Snapshots,
    /// Draws docs/zpages.png and docs/jaeger.png: the zPages, and a trace in Jaeger's interface
    Screenshot,
    /// Compares the public interface with that of an earlier revision
    Semver {
        /// The tag, branch or commit to compare with
        revision: String,
    },
    /// Checks what has to be true before a release, and lists the steps that remain
    Release,
    /// Checks the openings and the width of comments
    Prose(prose::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let project = Project::open()?;
    match command {
        Command::Check(arguments) => check::run(&project, &arguments),
        Command::Test { arguments } => Ok(project.cargo("test --locked").args(arguments).run()?),
        Command::Peers(arguments) => peers::run(&project, &arguments),
        Command::Bench(command) => bench::run(&project, command),
        Command::Sanitize(arguments) => sanitize::run(&project, arguments),
        Command::Snapshots => snapshots::run(&project),
        Command::Screenshot => screenshot::run(&project),
        Command::Semver { revision } => semver::run(&project, &revision),
        Command::Release => release::run(&project),
        Command::Prose(arguments) => prose::run(&project, &arguments),
    }
}
