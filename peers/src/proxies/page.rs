//! `docs/proxies.md`, which is generated from the table.

use std::fmt::{Display, Write as _};

use super::case::Case;
use super::program::ALL;
use super::table::{Entry, Table};
use crate::page;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/proxies.md");

const INTRODUCTION: &str = "\
# Proxies

For those who run a proxy between their services: what both sides record of a call, and what the
proxy changes.

This page is generated from [`peers/proxies.tsv`](../peers/proxies.tsv), which `cargo xtask peers
proxies` compares with what happens. Client and server are ours: a `TracedChannel`, and a
`ServerLayer` with `#[traced_service]`. Each proxy forwards HTTP/2 without TLS to one server.

Whatever the proxy, the server's span is a child of the client's span: none of them touches
`traceparent`. The client's span has the address of the proxy as `server.address`. The server's
span has the address in the column \"authority\" as `server.address`. Each span has one duration with
the same method, status code and error type.

The status of an answer that is not gRPC's is given as `HTTP 502`; the code is that of gRPC's mapping
from HTTP.

A server that gets a request more than 5 ms after the client's clock has started takes a missed
deadline for a cancel, so the test makes such a call again. `\\|` separates the results of a race.

";

/// Asserts that the page has what the table has, or writes it if `UPDATE_EXPECT` is set.
///
/// # Panics
///
/// If the page is not up to date, or a cell of the table needs a reason.
pub fn check() {
    let table = Table::read();
    page::check(PATH, &text(&table), "proxies");
    table.check_reasons();
}

fn text(table: &Table) -> String {
    let mut page = String::from(INTRODUCTION);
    let odd = |number: usize| {
        table
            .0
            .keys()
            .filter(|key| key.0 == number && table.is_odd(key))
            .count()
    };
    let cells = table.0.len();
    let all_odd: usize = (0..ALL.len()).map(odd).sum();
    writeln!(
        page,
        "{} proxies, {cells} cells. {all_odd} of them differ from a call without a proxy, or have no such call to\n\
         compare with, for the reasons below.\n\n## Cases\n",
        ALL.len() - 1
    )
    .unwrap();
    page::head(&mut page, &["case", "what happens"]);
    for case in Case::ALL {
        page::row(&mut page, &[&case.name(), &case.meaning()]);
    }
    for (number, proxy) in ALL.iter().enumerate() {
        let mut name = proxy.name.to_owned();
        if number == 0 {
            "Without a proxy".clone_into(&mut name);
        }
        writeln!(page, "\n## {name}\n\n{}. {} cells differ.\n", proxy.about, odd(number)).unwrap();
        if let Some(reason) = proxy.authority {
            writeln!(
                page,
                "The server's span has the address that the proxy forwards to:\n{reason}.\n"
            )
            .unwrap();
        }
        let columns = ["case", "kinds", "client", "server", "authority", "why it differs"];
        page::head(&mut page, &columns);
        for case in Case::ALL {
            for (kinds, Entry { cell, reason }) in table.rows(number, case) {
                let kinds = page::kinds(&kinds, case.kinds());
                let cells: [&dyn Display; 6] = [
                    &case.name(),
                    &kinds,
                    &cell.client,
                    &cell.server,
                    &cell.authority,
                    reason,
                ];
                page::row(&mut page, &cells);
            }
        }
    }
    page
}
