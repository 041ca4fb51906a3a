//! A program of this package in a process of its own: environment variables are a process's, and read once.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

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

/// A program that does what it is told, line by line: `driven`.
#[derive(Debug)]
pub struct Driven {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it has written to stdout beside its answers.
    pub log: Vec<String>,
}

impl Driven {
    /// Starts it. It answers once it is ready, or why it never will be.
    #[must_use]
    pub fn start<'v>(
        program: &str,
        arguments: &[&str],
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> (Self, String) {
        let mut driven = Self::start_silent(program, arguments, variables);
        let ready = driven.answer();
        (driven, ready)
    }

    /// Starts one that says nothing of being ready.
    #[must_use]
    pub fn start_silent<'v>(
        program: &str,
        arguments: &[&str],
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
    ) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Driven {
            child,
            lines,
            log: Vec::new(),
        }
    }

    /// Tells it something, and waits for the answer.
    pub fn tell(&mut self, line: &str) -> String {
        let stdin: &mut ChildStdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        self.answer()
    }

    /// Waits for what it answers next.
    pub fn answer(&mut self) -> String {
        for line in &mut self.lines {
            let line = line.unwrap();
            if let Some(answer) = line.strip_prefix("> ") {
                return answer.to_owned();
            }
            self.log.push(line);
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        panic!("it ends instead of answering: {stderr}");
    }

    /// Lets it end, and gives all that it has written to stdout beside its answers.
    pub fn end(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let rest = self.lines.by_ref().map(Result::unwrap);
        self.log.extend(rest.filter(|line| !line.starts_with("> ")));
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success() && stderr.is_empty(), "{status}: {stderr}");
        std::mem::take(&mut self.log)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        // Of a test that has failed; else it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
