//! How do I find out what a configuration file would do, before a program starts with it?
//!
//! ```console
//! $ cargo run -p otel-setup --features config-file --example check_config -- otel.yaml
//! ```
//!
//! For CI: it fails if the file has an error, or causes a warning.

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
