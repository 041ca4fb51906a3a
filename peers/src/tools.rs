//! Tools that cargo does not bring, installed once into the target directory.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variable with a directory for what is installed.
///
/// Without it, that is the target directory.
///
/// Continuous integration may keep it from one run to the next.
const CACHE: &str = "PEERS_CACHE";

const NEEDS_PIP: &str = "Python 3 with pip, which `apt-get install python3-pip` brings";

/// Returns the directory `NAME-…` in `directory`, which `install` fills if it is missing.
///
/// The name depends on `made_of`, so another list of packages makes another directory. If the
/// environment variable `PEERS_CACHE` is set, its value is used instead of `directory`.
pub fn installed(directory: &str, name: &str, made_of: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    let mut key = DefaultHasher::new();
    made_of.hash(&mut key);
    let cache = env::var(CACHE).unwrap_or_else(|_| directory.to_owned());
    let finished = Path::new(&cache).join(format!("{name}-{:016x}", key.finish()));
    if finished.exists() {
        return finished;
    }
    // Tests in other processes wait for this one, rather than install the same. If it is killed,
    // its lock is gone, too.
    fs::create_dir_all(&cache).unwrap();
    let lock = File::create(finished.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !finished.exists() {
        // The directory gets its name once it is complete, so that of an interrupted run is not
        // used.
        let unfinished = finished.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).unwrap();
        }
        fs::create_dir_all(&unfinished).unwrap();
        install(&unfinished);
        fs::rename(&unfinished, &finished).unwrap();
    }
    finished
}

/// Installs the packages of a file like pip's `requirements.txt`, for the programs in them.
///
/// Returns the directory of the packages.
#[must_use]
pub fn wheels(directory: &str, name: &str, requirements: &str) -> PathBuf {
    let packages = fs::read_to_string(requirements).unwrap_or_else(|error| panic!("{requirements}: {error}"));
    installed(directory, name, &[&packages], |out| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(out);
        output_of(pip.args(["-r", requirements]), NEEDS_PIP);
    })
}

/// Returns the output of a command.
///
/// # Panics
///
/// If the command fails; the message says what the test `needs`.
pub fn output_of(command: &mut Command, needs: &str) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("cannot run {command:?}: {error}; this test needs {needs}"),
    };
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?} failed with {}; this test needs {needs}:\n{stdout}\n{stderr}",
        output.status
    );
    stdout.into_owned()
}
