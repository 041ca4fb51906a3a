//! gRPC programs in Python, which OpenTelemetry's own instrumentation traces.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, process};

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");

/// Where the services are described that they have.
pub const PROTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/proto");

/// One of the programs in `tests/python`.
#[must_use]
pub fn program(interpreter: &Path, name: &str) -> Command {
    let mut program = Command::new(interpreter);
    // Neither a proxy nor the reader's own settings of OpenTelemetry are to have a say.
    program.arg(format!("{PROGRAMS}/{name}")).env_clear();
    program
}

/// The interpreter of a virtual environment in `directory` that has what the programs need. It is made when it is missing, or made for other versions.
#[must_use]
pub fn interpreter(directory: &str) -> PathBuf {
    let requirements = format!("{PROGRAMS}/requirements.txt");
    let version = output_of(Command::new("python3").arg("--version"));
    let mut key = DefaultHasher::new();
    (fs::read(&requirements).unwrap(), version).hash(&mut key);
    let venv = Path::new(directory).join(format!("python-{:016x}", key.finish()));

    if !venv.exists() {
        // It gets its name once it is complete, so one that an interrupted run left behind is never used.
        let unfinished = venv.with_extension(process::id().to_string());
        output_of(Command::new("python3").args(["-m", "venv"]).arg(&unfinished));
        output_of(
            Command::new(unfinished.join("bin/python"))
                .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input"])
                .args(["--only-binary", ":all:", "--requirement", &requirements]),
        );
        let renamed = fs::rename(&unfinished, &venv);
        assert!(renamed.is_ok() || venv.exists(), "no {}: {renamed:?}", venv.display());
    }
    venv.join("bin/python")
}

/// What the command prints. This needs Python 3 with its `venv` module, and a package index to install from: it fails where one is missing.
pub fn output_of(command: &mut Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot run {command:?}: {error}; this test needs Python 3"),
    };
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?} failed with {}:\n{stdout}\n{stderr}",
        output.status
    );
    stdout.into_owned()
}
