//! A program that is told what to do on its standard input: `peers/README.md` has the protocol.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;

use integration_tests::server::TIMEOUT;

/// A running program, which is killed when the value is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    lines: Receiver<String>,
    /// Answers that nobody has waited for yet.
    early: Vec<String>,
    stderr: Arc<Mutex<String>>,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (line, lines) = mpsc::channel();
        thread::spawn(move || {
            let answers = stdout.lines().map_while(Result::ok);
            let mut answers = answers.filter_map(|line| line.strip_prefix("> ").map(str::to_owned));
            answers.try_for_each(|answer| line.send(answer))
        });
        let stderr = Arc::<Mutex<String>>::default();
        let (mut from, to) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        // Read all the time, or the program would block.
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Process {
            child,
            lines,
            early: Vec::new(),
            stderr,
        }
    }

    /// Sends a line.
    pub(super) fn send(&mut self, line: &str) {
        let sent = writeln!(self.child.stdin.as_mut().unwrap(), "{line}");
        assert!(sent.is_ok(), "{sent:?}: {}", self.stderr.lock().unwrap());
    }

    /// Waits for an answer with this prefix, and returns the rest of it.
    pub(super) fn answer(&mut self, prefix: &str) -> String {
        if let Some(at) = self.early.iter().position(|line| line.starts_with(prefix)) {
            return self.early.remove(at)[prefix.len()..].to_owned();
        }
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) => match line.strip_prefix(prefix) {
                    Some(rest) => return rest.to_owned(),
                    None => self.early.push(line),
                },
                Err(error) => panic!(
                    "{error} before {prefix:?}, after {:?}: {}",
                    self.early,
                    self.stderr.lock().unwrap()
                ),
            }
        }
    }

    /// Returns what the program has written to its standard error.
    pub(super) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Exports all metrics.
    pub(super) fn flush(&mut self) {
        self.send("flush");
        self.answer("flushed");
    }

    /// Returns whether the process has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until the process has ended.
    pub(super) fn wait(&mut self) {
        self.child.wait().unwrap();
    }

    /// Kills the process.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
