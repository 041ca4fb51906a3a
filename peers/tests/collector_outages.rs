//! Outages of a real Collector: what arrives, what arrives twice, and what is reported as lost.

use peers::backends::outage::{Expected, Outage, Row, go_through};
use peers::backends::{Collector, install_collector};

const OUTAGES: [Row; 6] = [
    (Outage::Killed(1), "10000", Expected::Once),
    (Outage::Killed(3), "10000", Expected::Once),
    (Outage::Killed(7), "10000", Expected::Once),
    (Outage::Ended(3), "10000", Expected::Once),
    (Outage::Frozen(25), "10000", Expected::NotConfirmed),
    (Outage::Frozen(25), "60000", Expected::Once),
];

#[test]
fn outages_of_a_collector() {
    let program = install_collector(env!("CARGO_TARGET_TMPDIR"));
    go_through::<Collector>(&program, &OUTAGES);
}
