//! Programs in other languages, built or installed once in pinned versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::collector::Collector;

use crate::tools::{installed, output_of};

const NEEDS_GO: &str = "Go 1.26 or newer: `apt-get install golang`, or https://go.dev/doc/install";

/// A program, with the arguments and the environment variables that it always has.
#[derive(Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Launcher {
    /// Builds `peers/go`.
    #[must_use]
    pub fn go(directory: &str) -> Self {
        const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go");
        let version = output_of(Command::new("go").arg("version"), NEEDS_GO);
        let program = built(directory, "go", SOURCES, &version, |out| {
            let mut go = Command::new("go");
            go.args(["build", "-mod=readonly", "-o"])
                .arg(out.join("peer"))
                .arg(".");
            output_of(go.current_dir(SOURCES), NEEDS_GO);
        });
        Launcher {
            program: program.join("peer"),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Returns the command that starts the program, which exports to `collector`.
    pub(super) fn command(&self, arguments: &[&str], collector: &Collector) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(arguments)
            // Neither a proxy's variables nor the developer's own.
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (*name, &**value)))
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
            .env("OTEL_SERVICE_NAME", "peer");
        command
    }
}

/// Returns the directory of a program that `build` makes of the files in `sources`.
fn built(directory: &str, name: &str, sources: &str, version: &str, build: impl FnOnce(&Path)) -> PathBuf {
    let mut made_of = vec![version.to_owned()];
    let mut folders = vec![PathBuf::from(sources)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                made_of.push(fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let made_of: Vec<&str> = made_of.iter().map(String::as_str).collect();
    installed(directory, name, &made_of, build)
}
