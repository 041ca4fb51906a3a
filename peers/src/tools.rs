//! What tests need and cargo does not bring: installed once, into the target directory, by what stands in files of this package.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Mutex, PoisonError};

/// The directory `NAME-…` in `directory`, which `install` has filled. It is made when it is missing, or was made of something else than `made_of`.
pub fn installed(directory: &str, name: &str, made_of: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let mut key = DefaultHasher::new();
    made_of.hash(&mut key);
    let finished = Path::new(directory).join(format!("{name}-{:016x}", key.finish()));
    if !finished.exists() {
        // It gets its name once it is complete, so one that an interrupted run left behind is never used.
        let unfinished = finished.with_extension(process::id().to_string());
        fs::create_dir_all(&unfinished).unwrap();
        install(&unfinished);
        if let Err(error) = fs::rename(&unfinished, &finished) {
            assert!(finished.exists(), "no {}: {error}", finished.display());
            fs::remove_dir_all(&unfinished).unwrap();
        }
    }
    finished
}

/// What the command prints. Where it fails, so does the test, which `needs` something that is missing here.
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
