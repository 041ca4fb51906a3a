//! Child processes that run programs of this package.
//!
//! Environment variables belong to a process, and are read once: each case needs its own process.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use crate::server::TIMEOUT;

/// The output and the exit status of a process.
#[derive(Debug)]
pub struct ProcessOutput {
    /// The contents of stdout.
    pub stdout: String,
    /// The contents of stderr.
    pub stderr: String,
    /// Whether the exit status is success.
    pub success: bool,
}

/// Runs a program, such as `env!("CARGO_BIN_EXE_service")`, until it ends.
///
/// The process has only the given environment variables, and none of the developer's.
#[must_use]
pub fn run<'v>(
    program: &str,
    arguments: &[&str],
    variables: impl IntoIterator<Item = (&'v str, &'v str)>,
) -> ProcessOutput {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables).stdin(Stdio::null());
    ProcessOutput::from_command(&mut command)
}

impl ProcessOutput {
    /// Runs a command to its end.
    pub(crate) fn from_command(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        ProcessOutput {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            success: output.status.success(),
        }
    }
}

/// A process of the program `driven`, which executes commands from its standard input.
#[derive(Debug)]
pub struct DrivenProcess {
    child: Child,
    lines: Receiver<String>,
    /// The lines of stdout that are not answers.
    pub log: Vec<String>,
}

impl DrivenProcess {
    /// Starts the process, and returns its first answer: `ready`, or an error.
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

    /// Starts a process that does not announce that it is ready.
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
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = mpsc::channel();
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|read| line.send(read))
        });
        DrivenProcess {
            child,
            lines,
            log: Vec::new(),
        }
    }

    /// Sends a command, and returns the answer.
    pub fn send(&mut self, line: &str) -> String {
        let stdin: &mut ChildStdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        self.answer()
    }

    /// Waits for the next answer, and returns it.
    pub fn answer(&mut self) -> String {
        let what = loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) => match line.strip_prefix("> ") {
                    Some(answer) => return answer.to_owned(),
                    None => self.log.push(line),
                },
                Err(RecvTimeoutError::Disconnected) => break "ends",
                Err(RecvTimeoutError::Timeout) => break "waits",
            }
        };
        // Reading stderr to its end requires that the process has ended.
        let _ = self.child.kill();
        panic!("it {what} instead of answering: {}", self.stderr());
    }

    fn stderr(&mut self) -> String {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        stderr
    }

    /// Waits until the process has ended, and returns the lines of stdout that are not answers.
    #[must_use]
    pub fn end(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let rest = self.lines.iter();
        self.log.extend(rest.filter(|line| !line.starts_with("> ")));
        let stderr = self.stderr();
        let status = self.child.wait().unwrap();
        assert!(status.success() && stderr.is_empty(), "{status}: {stderr}");
        std::mem::take(&mut self.log)
    }
}

impl Drop for DrivenProcess {
    fn drop(&mut self) {
        // Still running only if the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
