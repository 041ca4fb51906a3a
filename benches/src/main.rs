//! The cost of tracing an RPC, by otel-runtime and competing crates.
//!
//! Costs are instructions, allocations and time:
//!
//! ```console
//! $ cargo xtask bench table
//! ```
//!
//! Each measurement is a process of its own (`one …`, `open …`), so that globals of one crate do
//! not affect another. `table` and `guard` start those processes.

mod by_hand;
mod chart;
#[cfg(feature = "competitors")]
mod competitors;
mod floor;
mod growth;
mod guard;
mod measure;
mod open_streams;
mod options;
mod report;
mod request;
mod row;
mod rpc;
mod sdk;
mod service;
mod variant;
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
        ["one", variant, mode, shape, how] => {
            let variants = variants::all().into_iter().chain(growth::variants());
            measure::one(variants, variant, mode.parse()?, shape.parse()?, how)
        }
        ["open", variant, mode, shape, count] => {
            open_streams::one(variant, mode.parse()?, shape.parse()?, count.parse()?)
        }
        ["growth", directory] => {
            print!("{}", growth::table(&Path::new(directory).join("bound"))?);
            Ok(())
        }
        ["table", directory] => report::table(Path::new(directory)),
        ["guard", directory] => guard::check(Path::new(directory)),
        ["guard", directory, "--update"] => guard::update(Path::new(directory)),
        _ => Err("usage: benches table DIRECTORY | growth DIRECTORY | guard DIRECTORY [--update] | one VARIANT MODE SHAPE HOW | open VARIANT MODE SHAPE COUNT".into()),
    }
}
