//! A program of this package in a process of its own: environment variables are a process's, and read once.

use std::process::{Command, Stdio};

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// Whether it ended well.
    pub success: bool,
}

/// Runs a program, which cargo names: `env!("CARGO_BIN_EXE_service")`, say. It sees these environment variables and no others, so the reader's own have no say.
#[must_use]
pub fn run<'v>(program: &str, arguments: &[&str], variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> Ended {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        success: output.status.success(),
    }
}
