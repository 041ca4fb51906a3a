//! Says what a configuration file would do, for CI: `cargo run --example check_config --features
//! config-file -- otel.yaml`.
//!
//! Fails if the file has an error, or causes a warning.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: check_config FILE");
        return ExitCode::FAILURE;
    };
    match otel_setup::check(path) {
        Ok(report) => {
            print!("{report}");
            if report.warnings().is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
