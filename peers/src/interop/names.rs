//! The names of a peer's spans, attributes and metrics, `peers/interop-names.tsv`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, PoisonError};

use integration_tests::collector::Collector;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::{Direction, peer};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop-names.tsv");
const HEAD: &str = "peer\trole of the peer\tspan\tattributes\tmetrics";

/// The names that a peer emits in one direction, each list separated by spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The name of the span of `kinds.Unary/Call`.
    pub span: String,
    /// The attributes of that span.
    pub attributes: String,
    /// The metrics of gRPC and RPC, with their units.
    pub metrics: String,
}

/// Names by the number of the peer, and the direction.
pub type AllNames = BTreeMap<(usize, Direction), Names>;

impl Names {
    /// Takes the names of the spans that have arrived.
    pub(super) fn take_spans(&mut self, collector: &Collector, direction: Direction) {
        let kind = match direction {
            Direction::Client => SpanKind::Client,
            Direction::Server => SpanKind::Server,
        };
        if let Some(span) = collector.spans().iter().find(|span| span.kind() == kind) {
            self.span.clone_from(&span.name);
            let keys = span.attributes.iter().map(|attribute| attribute.key.clone());
            self.attributes = joined(keys.filter(|key| !key.starts_with("thread.")));
        }
    }

    /// Takes the names of the metrics that have arrived.
    pub(super) fn take_metrics(&mut self, collector: &Collector) {
        let metrics = collector.metrics();
        let of_rpcs = metrics
            .iter()
            .filter(|metric| metric.name.starts_with("rpc.") || metric.name.starts_with("grpc."));
        self.metrics = joined(of_rpcs.map(|metric| format!("{}[{}]", metric.name, metric.unit)));
    }
}

fn joined(names: impl Iterator<Item = String>) -> String {
    let names: BTreeSet<String> = names.collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

/// Reads the names of all peers.
#[must_use]
pub fn read() -> AllNames {
    let text = fs::read_to_string(PATH).unwrap_or_default();
    let rows = text.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, role, span, attributes, metrics] = fields[..] else {
            panic!("not five columns: {line}")
        };
        let number = peer::ALL.iter().position(|peer| peer.name == name);
        let direction = Direction::ALL.into_iter().find(|direction| direction.role() == role);
        let names = Names {
            span: span.to_owned(),
            attributes: attributes.to_owned(),
            metrics: metrics.to_owned(),
        };
        ((number.unwrap(), direction.unwrap()), names)
    });
    rows.collect()
}

/// Replaces the names of a peer in the file.
pub(super) fn replace(number: usize, direction: Direction, names: Names) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = read();
    all.insert((number, direction), names);
    let mut text = format!("{HEAD}\n");
    for ((number, direction), names) in all {
        let name = peer::ALL[number].name;
        let Names {
            span,
            attributes,
            metrics,
        } = names;
        writeln!(text, "{name}\t{}\t{span}\t{attributes}\t{metrics}", direction.role()).unwrap();
    }
    fs::write(PATH, text).unwrap();
}
