//! Receivers of telemetry: a Collector, Jaeger, and rotel.

mod collector;
mod jaeger;
mod otlp_json;
pub mod outage;
mod rotel;
mod traffic;

pub use collector::{Collector, install as install_collector, scraped, wait_for};
pub use jaeger::{Jaeger, install as install_jaeger};
pub use otlp_json::{logs, metrics, spans};
pub use outage::Receiver;
pub use rotel::{Rotel, install as install_rotel};
pub use traffic::{counts, make, totals};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/backends");
const NEEDS_GO: &str = "Go 1.26 or newer, which https://go.dev/doc/install brings";

/// Builds a program from a Go module in `peers/backends`, and returns its path.
fn build(directory: &str, name: &str, files: &[&str], package: &str) -> std::path::PathBuf {
    let sources = format!("{FOLDER}/{name}");
    let texts: Vec<String> = files
        .iter()
        .map(|file| std::fs::read_to_string(format!("{sources}/{file}")).unwrap())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let built = crate::tools::installed(directory, name, &texts, |out| {
        let mut go = std::process::Command::new("go");
        go.args(["build", "-mod=readonly", "-o"])
            .arg(out.join(name))
            .arg(package);
        crate::tools::output_of(go.current_dir(&sources), NEEDS_GO);
    });
    built.join(name)
}
