//! The cost of tracing to a server under load, and contention between threads.
//!
//! ```console
//! $ cargo xtask bench scale
//! ```
//!
//! Each server and each measurement of threads is a process of its own, so that globals of one do
//! not affect another. `table` starts those processes.

// Counts become ratios and quantiles here, for which an f64 is exact enough.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]

mod load;
mod report;
mod sdk;
mod server;
mod service;
mod table;
mod threads;
mod variants;

use std::path::Path;

/// Code that tonic generates.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod proto {
    tonic::include_proto!("bench");
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["table", directory] => report::all(Path::new(directory), &table::FULL),
        ["table", directory, "--quick"] => report::all(Path::new(directory), &table::QUICK),
        ["serve", variant] => server::serve(variant.parse()?),
        ["threads", variant, mode, count] => threads::one(variant.parse()?, mode.parse()?, count.parse()?),
        _ => Err("usage: scale table DIRECTORY [--quick] | serve VARIANT | threads VARIANT MODE COUNT".into()),
    }
}
