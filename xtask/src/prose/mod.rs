//! Checks the prose of comments: how they open, and how wide they are.

mod comments;
mod rules;

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use xshell::cmd;

use crate::project::Project;

/// Files that nobody writes by hand.
const GENERATED: &str = ":(exclude)otel-macros/snapshots/*.expanded.rs";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Checks the files in this folder alone, or this file
    #[arg(long, value_name = "PATH")]
    under: Option<PathBuf>,
}

/// Checks all files, as a step of the checks.
pub(crate) fn check(project: &Project) -> Result<()> {
    run(project, &Arguments { under: None })
}

/// Prints every offense of the Rust files that git knows or would add, and fails if there is one.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let listed = cmd!(
        project.shell,
        "git ls-files --cached --others --exclude-standard -- *.rs {GENERATED}"
    );
    // The path is relative to the current directory, git's paths are relative to the root.
    let under = arguments.under.as_ref().map(fs::canonicalize).transpose()?;
    let (mut count, mut files) = (0, 0);
    for file in listed.quiet().read()?.lines() {
        let path = project.root.join(file);
        if under.as_ref().is_some_and(|under| !path.starts_with(under)) || !path.is_file() {
            continue;
        }
        let source = fs::read_to_string(path)?;
        let offenses = rules::offenses(&source);
        for offense in &offenses {
            println!("{file}:{offense}");
        }
        count += offenses.len();
        files += usize::from(!offenses.is_empty());
    }
    ensure!(
        count == 0,
        "{count} offenses against the rules of prose in {files} files"
    );
    println!("no offense against the rules of prose");
    Ok(())
}
