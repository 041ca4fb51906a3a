//! Runs a test in a process of its own.
//!
//! Global providers, the `tracing` subscriber, environment variables, the panic hook and the
//! allocator belong to a process. A test that sets or measures one of them, or needs that none is
//! set, wraps its body in [`in_own_process`].

use std::env;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::thread;

use crate::child::ProcessOutput;

/// The variable that tells a child process which call of [`in_own_process_with`] to run.
const CHILD: &str = "IN_OWN_PROCESS";

/// Runs the body of a test in a process of its own.
///
/// Starts the current test binary again with this test only, and runs `test` there. The process
/// inherits the environment, except for `RUST_LOG` and the variables of OpenTelemetry.
///
/// Returns the output of the process, which has succeeded, or `None` in that process itself.
///
/// # Panics
///
/// Panics with the output of the process if `test` fails there.
pub fn in_own_process(test: impl FnOnce()) -> Option<ProcessOutput> {
    in_own_process_with::<&str>(&[], test)
}

/// Like [`in_own_process`], for an asynchronous body.
///
/// The test has the attribute `#[test]`, not `#[tokio::test]`.
///
/// # Panics
///
/// Panics with the output of the process if `test` fails there.
pub fn in_own_process_async(test: impl Future<Output = ()>) -> Option<ProcessOutput> {
    in_own_process(|| block_on(test))
}

/// Like [`in_own_process`], with environment variables.
///
/// A test may call it several times, with other variables each time.
///
/// # Panics
///
/// Panics with the output of the process if `test` fails there.
pub fn in_own_process_with<V: AsRef<OsStr>>(variables: &[(&str, V)], test: impl FnOnce()) -> Option<ProcessOutput> {
    // libtest names the thread of a test after the test.
    let name = thread::current().name().expect("not called from a test").to_owned();
    let values: Vec<_> = variables.iter().map(|(key, value)| (key, value.as_ref())).collect();
    let call = format!("{name} with {values:?}");
    match env::var(CHILD) {
        Err(_) => return Some(run_child(&name, &call, &values)),
        Ok(child) if child == call => {
            test();
            println!("{CHILD}: {call}");
        }
        // The process is for another call of the same test.
        Ok(_) => {}
    }
    None
}

fn run_child(name: &str, call: &str, variables: &[(&&str, &OsStr)]) -> ProcessOutput {
    let mut command = Command::new(env::current_exe().unwrap());
    for (key, _) in env::vars_os() {
        if key.to_string_lossy().starts_with("OTEL_") || key == "RUST_LOG" {
            command.env_remove(key);
        }
    }
    command
        .args(["--exact", name, "--nocapture"])
        .envs(variables.iter().copied())
        .env(CHILD, call)
        .stdin(Stdio::null());
    let output = ProcessOutput::from_command(&mut command);
    let ProcessOutput { stdout, stderr, .. } = &output;
    // Without this line, the process has not run the test.
    let has_run = stdout.contains(&format!("{CHILD}: {call}\n"));
    assert!(
        output.success && has_run,
        "{call} failed in its own process:\n{stdout}{stderr}"
    );
    output
}

/// Runs an asynchronous body of a test, on a runtime like that of `#[tokio::test]`.
///
/// # Panics
///
/// Panics if the runtime cannot be built.
pub fn block_on<F: Future>(body: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(body)
}
