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

pub(crate) const NEEDS_GO: &str = "Go 1.26 or newer, which https://go.dev/doc/install brings";
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

/// Builds a package with the Go module in `sources`, and returns the path of the program `name`.
///
/// `files` are those of the module that the program is made of.
#[must_use]
pub(crate) fn go_program(directory: &str, name: &str, sources: &str, files: &[&str], package: &str) -> PathBuf {
    let read = |file: &&str| fs::read_to_string(format!("{sources}/{file}")).unwrap();
    let texts: Vec<String> = files.iter().map(read).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let built = installed(directory, name, &texts, |out| {
        build_go(sources, package, &out.join(name));
    });
    built.join(name)
}

/// Builds a package with the Go module in `sources`.
pub(crate) fn build_go(sources: &str, package: &str, program: &Path) {
    let mut go = Command::new("go");
    go.args(["build", "-mod=readonly", "-o"]).arg(program).arg(package);
    output_of(go.current_dir(sources), NEEDS_GO);
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
