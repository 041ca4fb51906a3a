//! `docs/interop.md`, which is generated from the table.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};

use integration_tests::client::Kind;

use super::names::{self, AllNames};
use super::peer::{self, Peer};
use super::table::{Cell, Table};
use super::{Direction, End, rules};
use crate::page;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/interop.md");

/// Asserts that the page has what the table has, or writes it if `UPDATE_EXPECT` is set.
///
/// # Panics
///
/// If the page is not up to date.
pub fn check() {
    page::check(PATH, &text(&Table::read(), &names::read()), "interop");
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
        page::row(&mut page, &[&peer.versions, &cells, &disagreeing]);
    }
    page += "\n## Ends\n\n";
    page::head(&mut page, &["end", "what happens"]);
    for end in End::ALL {
        page::row(&mut page, &[&end.name(), &end.meaning()]);
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
        let peer = format!("{}, {}", peer::ALL[*number].name, direction.role());
        let span = format!("`{}`", names.span);
        page::row(&mut page, &[&peer, &span, &code(&names.attributes), &metrics]);
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
        let (who, span) = match direction {
            Direction::Client => ("The peer calls our server", "our SERVER span"),
            Direction::Server => ("Our client calls the peer", "our CLIENT span"),
        };
        write!(page, "\n{who}:\n\n").unwrap();
        page::head(page, &["end", "kinds", "the caller gets", span, "its spans"]);
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
                let all = |texts: &[String]| texts.join(" *or* ").replace('>', "→");
                let mark = if disagrees { " ✗" } else { "" };
                let cells: [&dyn Display; 5] = [
                    &end.name(),
                    &page::kinds(&kinds, &Kind::ALL),
                    &all(&cell.caller),
                    &all(&cell.ours),
                    &(all(&cell.theirs) + mark),
                ];
                page::row(page, &cells);
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
