//! Undefined behavior and data races, which tests cannot see by themselves.
//!
//! CI does not run this: everything is built anew with a nightly compiler, and miri is some hundred
//! times slower than the machine. Two tests cover related faults in CI:
//! `tests/tests/interleavings.rs` the order of updates to shared counts, `peers/tests/leaks.rs`
//! memory left by RPCs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use xshell::cmd;

use crate::project::Project;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The faults to look for; both by default
    #[arg(value_enum)]
    faults: Vec<Fault>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// Undefined behavior in the unit tests, with miri
    UndefinedBehavior,
    /// Data races among RPCs, with the thread sanitizer
    DataRaces,
}

/// Looks for each of the faults.
pub(crate) fn run(project: &Project, arguments: Arguments) -> Result<()> {
    let mut faults = arguments.faults;
    if faults.is_empty() {
        faults = vec![Fault::UndefinedBehavior, Fault::DataRaces];
    }
    cmd!(project.shell, "rustup component add --toolchain nightly miri rust-src").run()?;
    for fault in faults {
        match fault {
            Fault::UndefinedBehavior => undefined_behavior(project)?,
            Fault::DataRaces => data_races(project)?,
        }
    }
    Ok(())
}

/// Runs unit tests in miri, none of which opens a socket.
///
/// Tests that would take minutes are ignored with `cfg_attr(miri, ignore)`.
fn undefined_behavior(project: &Project) -> Result<()> {
    // The resource's tests make system calls that miri does not have.
    let tests =
        "+nightly miri test --locked --package otel-runtime --package otel-setup --lib -- --skip resource::tests";
    let tests = project.cargo(tests).env("CARGO_INCREMENTAL", "0");
    // In isolation a test could read neither the clock nor the environment. Eight cases of each
    // property have to do instead of hundreds.
    let tests = tests
        .env("MIRIFLAGS", "-Zmiri-disable-isolation")
        .env("PROPTEST_CASES", "8");
    Ok(tests.run()?)
}

/// Runs RPCs on four threads in the thread sanitizer.
fn data_races(project: &Project) -> Result<()> {
    let version = cmd!(project.shell, "rustc -vV").quiet().read()?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc has no host")?;
    let target: PathBuf = project.folder_in_target("Cargo.toml", "thread-sanitizer")?;
    // The standard library is built as well, or its locks would look like races.
    let build = format!("+nightly build --locked -Zbuild-std --target {host} --package peers --bin rush");
    let build = project.cargo(&build).env("CARGO_INCREMENTAL", "0");
    build
        .env("RUSTFLAGS", "-Zsanitizer=thread")
        .env("CARGO_TARGET_DIR", &target)
        .run()?;
    // The thread that registers a socket hands it to the one that polls through the kernel, which
    // the sanitizer does not see.
    let suppressions = target.join("suppressions");
    fs::write(&suppressions, "race:tokio::runtime::io::driver\n")?;
    let rush = target.join(host).join("debug/rush");
    let rush = cmd!(project.shell, "{rush} 20");
    Ok(rush
        .env("TSAN_OPTIONS", format!("suppressions={}", suppressions.display()))
        .run()?)
}
