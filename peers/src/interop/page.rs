//! `docs/interop.md`, which is generated from the table.

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;

use integration_tests::client::Kind;

use super::names::{self, AllNames};
use super::peer::{self, Peer};
use super::table::{Cell, Table};
use super::{Direction, End, rules};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/interop.md");

/// Asserts that the page has what the table has, or writes it if `UPDATE_EXPECT` is set.
///
/// # Panics
///
/// If the page is not up to date.
pub fn check() {
    let text = text(&Table::read(), &names::read());
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(PATH, text).unwrap();
    } else {
        let found = fs::read_to_string(PATH).unwrap_or_default();
        assert_eq!(found, text, "UPDATE_EXPECT=1 cargo xtask peers interop writes the page");
    }
}

fn text(table: &Table, names: &AllNames) -> String {
    let mut page = String::from(INTRODUCTION);
    let cells = table.cells.len();
    let disagreeing = peer::ALL
        .iter()
        .enumerate()
        .map(|(number, _)| disagreements(table, number));
    let disagreeing: usize = disagreeing.sum();
    writeln!(
        page,
        "{} peers, {cells} cells. In {disagreeing} of them the peer's span does not say what the \
         conventions\nhave for the end of the RPC, for the reasons below. Ours disagrees in none.\n",
        peer::ALL.len()
    )
    .unwrap();
    page += "| peer | cells | peer disagrees |\n|---|---:|---:|\n";
    for (number, peer) in peer::ALL.iter().enumerate() {
        let cells = table.cells.keys().filter(|key| key.0 == number).count();
        let disagreeing = disagreements(table, number);
        writeln!(page, "| {} | {cells} | {disagreeing} |", peer.versions).unwrap();
    }
    page += "\n## Ends\n\n| end | what happens |\n|---|---|\n";
    for end in End::ALL {
        writeln!(page, "| {} | {} |", end.name(), end.meaning()).unwrap();
    }
    page += NAMES;
    for ((number, direction), names) in names {
        let code = |names: &str| {
            names
                .split(' ')
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let metrics = if names.metrics.is_empty() {
            "–".to_owned()
        } else {
            code(&names.metrics)
        };
        writeln!(
            page,
            "| {}, {} | `{}` | {} | {metrics} |",
            peer::ALL[*number].name,
            direction.role(),
            names.span,
            code(&names.attributes)
        )
        .unwrap();
    }
    for (number, peer) in peer::ALL.iter().enumerate() {
        write_peer(&mut page, table, number, peer);
    }
    page
}

const INTRODUCTION: &str = "\
# Interoperability

For those who run services in several languages: what each side of an RPC records, if the other side
is another implementation of gRPC with the instrumentation that its users use.

This page is generated from [`peers/interop.tsv`](../peers/interop.tsv), which `cargo xtask peers
interop` compares with what happens. In every cell there is one span of ours and one duration with
the method, the status code and the error type of the span. Our SERVER span is a child of the
peer's span, and the peer's SERVER span is a child of our CLIENT span.

";

const NAMES: &str = "
## Names

The span of a unary RPC, its attributes, and the metrics of RPCs with their units. Ours are those of
the conventions 1.45: `rpc.system.name`, `rpc.method`, `rpc.status_code`, `error.type`,
`server.address`, `server.port`.

| peer, role | span | attributes | metrics |
|---|---|---|---|
";

/// Returns the number of cells in which the peer's span is not conventional.
fn disagreements(table: &Table, number: usize) -> usize {
    let of_peer = table.cells.iter().filter(|(key, _)| key.0 == number);
    of_peer
        .filter(|(key, cell)| !is_conventional(key.1, key.2, cell))
        .count()
}

/// Returns whether all results that a cell may have are conventional.
pub(super) fn is_conventional(direction: Direction, end: End, cell: &Cell) -> bool {
    cell.theirs.iter().all(|theirs| {
        let mut callers = cell.caller.iter();
        callers.any(|caller| rules::is_conventional(direction, end, caller, theirs))
    })
}

fn write_peer(page: &mut String, table: &Table, number: usize, peer: &Peer) {
    writeln!(page, "\n## {}\n\n{}.", peer.name, peer.versions).unwrap();
    for direction in Direction::ALL {
        let ends: Vec<End> = End::ALL
            .into_iter()
            .filter(|end| !table.rows(number, direction, *end).is_empty())
            .collect();
        if ends.is_empty() {
            continue;
        }
        page.push_str(match direction {
            Direction::Client => {
                "\nThe peer calls our server:\n\n| end | kinds | the caller gets | our SERVER span | its spans |\n"
            }
            Direction::Server => {
                "\nOur client calls the peer:\n\n| end | kinds | the caller gets | our CLIENT span | its spans |\n"
            }
        });
        page.push_str("|---|---|---|---|---|\n");
        let mut reasons = BTreeSet::new();
        for end in ends {
            for (kinds, cell) in table.rows(number, direction, end) {
                let disagrees = !is_conventional(direction, end, cell);
                let is_race = [&cell.caller, &cell.ours, &cell.theirs]
                    .iter()
                    .any(|texts| texts.len() > 1);
                if disagrees || is_race {
                    reasons.extend(peer.reason(direction, end).map(|reason| reason.text));
                }
                let kinds = if kinds.len() == Kind::ALL.len() {
                    "all".to_owned()
                } else {
                    kinds
                        .iter()
                        .map(|kind| format!("{kind:?}"))
                        .collect::<Vec<_>>()
                        .join(", ")
                };
                let all = |texts: &[String]| texts.join(" *or* ").replace('>', "→");
                let mark = if disagrees { " ✗" } else { "" };
                writeln!(
                    page,
                    "| {} | {kinds} | {} | {} | {}{mark} |",
                    end.name(),
                    all(&cell.caller),
                    all(&cell.ours),
                    all(&cell.theirs)
                )
                .unwrap();
            }
        }
        if !reasons.is_empty() {
            page.push('\n');
        }
        for (_, end) in peer.never_ends.iter().filter(|(role, _)| *role == direction) {
            writeln!(page, "\nNot tested, since the call does not end: {}.", end.name()).unwrap();
        }
        for reason in reasons {
            writeln!(page, "* {reason}").unwrap();
        }
    }
}
