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
