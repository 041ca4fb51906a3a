//! How many series and bytes do the RPC metrics of all my replicas take?
//!
//! ```console
//! $ cargo run -p examples --bin fleet_size
//! $ cargo run -p examples --bin fleet_size -- served=200 called=50 targets=30 codes=4 replicas=5000
//! ```
//!
//! Prints a table in Markdown: the metrics of one replica and of the fleet, as they are by default,
//! and with each setting that makes them smaller. The arguments are numbers: methods `served` by a
//! replica, methods `called` at each of its `targets`, status `codes` that occur, `boundaries` of
//! the histograms, and `replicas`. `scrape` and `export` are the intervals in seconds.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;

use examples::fleet::{Method, Replica, Size};

/// The arguments, and what they are unless given.
const DEFAULTS: [(&str, usize); 8] = [
    ("served", 20),
    ("called", 10),
    ("targets", 4),
    ("codes", 3),
    ("boundaries", 14),
    ("replicas", 100),
    ("scrape", 15),
    ("export", 60),
];

/// The status codes that occur, the most frequent ones first, and whether a server has failed.
const CODES: [(&str, bool); 17] = [
    ("OK", false),
    ("CANCELLED", false),
    ("DEADLINE_EXCEEDED", true),
    ("NOT_FOUND", false),
    ("UNAVAILABLE", true),
    ("INTERNAL", true),
    ("INVALID_ARGUMENT", false),
    ("UNKNOWN", true),
    ("PERMISSION_DENIED", false),
    ("UNAUTHENTICATED", false),
    ("RESOURCE_EXHAUSTED", false),
    ("ALREADY_EXISTS", false),
    ("FAILED_PRECONDITION", false),
    ("UNIMPLEMENTED", true),
    ("ABORTED", false),
    ("OUT_OF_RANGE", false),
    ("DATA_LOSS", true),
];

type Arguments = BTreeMap<String, usize>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Arguments = DEFAULTS.map(|(name, number)| (name.to_owned(), number)).into();
    for argument in env::args().skip(1) {
        let (name, number) = argument.split_once('=').ok_or("an argument is NAME=NUMBER")?;
        *arguments.get_mut(name).ok_or_else(|| format!("no argument {name}"))? = number.parse()?;
    }
    let default = replica(&arguments);
    let settings = [
        ("default", default.clone()),
        (
            "`metrics_without_target`",
            Replica {
                targets: Vec::new(),
                ..default.clone()
            },
        ),
        (
            "5 boundaries",
            Replica {
                boundaries: vec![0.01, 0.1, 0.5, 1.0, 5.0],
                ..default.clone()
            },
        ),
        (
            "a view without buckets",
            Replica {
                boundaries: Vec::new(),
                ..default.clone()
            },
        ),
        (
            "servers only",
            Replica {
                called: Vec::new(),
                ..default
            },
        ),
    ];
    println!("| | series of a replica | KiB of a scrape | series of the fleet | scraped MB/s | OTLP MB/minute |");
    println!("|---|---|---|---|---|---|");
    for (setting, replica) in settings {
        print_row(setting, replica.size(), &arguments);
    }
    Ok(())
}

/// Returns a replica with names of a usual length.
fn replica(arguments: &Arguments) -> Replica {
    let codes = CODES.iter().take(arguments["codes"]);
    let of_server: Vec<_> = codes.clone().copied().collect();
    let of_client: Vec<_> = codes.map(|(code, _)| (*code, *code != "OK")).collect();
    let methods = |count, codes: &Vec<_>| {
        let method = |id| Method {
            name: format!("acme.orders.v1.Orders/Method{id:04}"),
            codes: codes.clone(),
        };
        (0..count).map(method).collect()
    };
    Replica {
        served: methods(arguments["served"], &of_server),
        called: methods(arguments["called"], &of_client),
        targets: (0..arguments["targets"])
            .map(|id| (format!("orders-{id:02}.acme.example"), 50051))
            .collect(),
        boundaries: boundaries(arguments["boundaries"]),
        digits: 7,
    }
}

/// Returns as many boundaries as text of a usual length.
fn boundaries(count: usize) -> Vec<f64> {
    let step = |index: usize| f64::from(u32::try_from(index + 1).unwrap_or(u32::MAX)) / 1000.0;
    (0..count).map(step).collect()
}

#[allow(clippy::cast_precision_loss)]
fn print_row(setting: &str, replica: Size, arguments: &Arguments) {
    let fleet = replica.times(arguments["replicas"]);
    let million = |bytes: usize, every: usize| bytes as f64 / 1e6 / every as f64;
    println!(
        "| {setting} | {} | {:.0} | {} | {:.2} | {:.1} |",
        replica.series,
        replica.scrape_bytes as f64 / 1024.0,
        fleet.series,
        million(fleet.scrape_bytes, arguments["scrape"]),
        million(fleet.otlp_bytes, arguments["export"]) * 60.0,
    );
}
