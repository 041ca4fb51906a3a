//! The table of expected results, `peers/proxies.tsv`.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, PoisonError};

use integration_tests::client::Kind;

use super::case::Case;
use super::program::{ALL, DIRECT};
use crate::page;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proxies.tsv");
const HEAD: &str = "proxy\tcase\tkinds\tclient\tserver\tauthority\treason";

/// The number of the proxy, the case, and the number of the kind.
pub(super) type Key = (usize, Case, usize);

/// The records of both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    /// The end of the client's span, whose code is what the caller gets.
    pub(super) client: String,
    /// The end of the server's span, or `-` if there is none.
    pub(super) server: String,
    /// Whose address the server's span has as `server.address`.
    pub(super) authority: String,
}

impl Cell {
    /// Returns whether a result is one of the expected ones: ` | ` separates those of a race.
    pub(super) fn expects(&self, found: &Cell) -> bool {
        let of_server = |server: &str| server == found.server;
        self.client == found.client && self.authority == found.authority && self.server.split(" | ").any(of_server)
    }
}

/// A cell, and why it is not that of a call without a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) cell: Cell,
    pub(super) reason: String,
}

#[derive(Debug, Default)]
pub(super) struct Table(pub(super) BTreeMap<Key, Entry>);

impl Table {
    /// Reads the table.
    pub(super) fn read() -> Self {
        let mut table = Table::default();
        let text = fs::read_to_string(PATH).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [proxy, case, kinds, client, server, authority, reason] = fields[..] else {
                panic!("not seven columns: {line}")
            };
            let number = ALL.iter().position(|known| known.name == proxy);
            let case = Case::ALL.into_iter().find(|known| known.name() == case);
            let entry = Entry {
                cell: Cell {
                    client: client.to_owned(),
                    server: server.to_owned(),
                    authority: authority.to_owned(),
                },
                reason: reason.to_owned(),
            };
            for kind in kinds.split(", ") {
                let kind = Kind::ALL.iter().position(|known| format!("{known:?}") == kind);
                table
                    .0
                    .insert((number.unwrap(), case.unwrap(), kind.unwrap()), entry.clone());
            }
        }
        table
    }

    /// Asserts that each cell that differs from a call without a proxy has a reason, and no other,
    /// and that a proxy which changes the address says so.
    pub(super) fn check_reasons(&self) {
        for (key, entry) in &self.0 {
            let name = format!("{}, {}, {:?}", ALL[key.0].name, key.1.name(), Kind::ALL[key.2]);
            let is_odd = self.is_odd(key);
            assert_eq!(!entry.reason.is_empty(), is_odd, "{name}: {entry:?}");
            let is_changed = !["-", "client's"].contains(&&*entry.cell.authority);
            assert!(!is_changed || ALL[key.0].authority.is_some(), "{name}: {entry:?}");
        }
    }

    /// Returns whether the ends differ from those of a call without a proxy.
    pub(super) fn is_odd(&self, key: &Key) -> bool {
        let direct = self.0.get(&(0, key.1, key.2));
        let ends = |entry: &Entry| (entry.cell.client.clone(), entry.cell.server.clone());
        ALL[key.0].name != DIRECT.name && direct.is_none_or(|direct| ends(direct) != ends(&self.0[key]))
    }

    /// Replaces the cells of a proxy in the file, and keeps the reasons.
    pub(super) fn replace(number: usize, found: BTreeMap<Key, Cell>) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::read();
        for (key, cell) in found {
            let entry = table.0.entry(key).or_default();
            if !entry.cell.expects(&cell) {
                entry.cell = cell;
            }
        }
        let odd: Vec<Key> = table.0.keys().filter(|key| table.is_odd(key)).copied().collect();
        for (key, entry) in &mut table.0 {
            if key.0 == number && !odd.contains(key) {
                entry.reason.clear();
            }
        }
        fs::write(PATH, table.text()).unwrap();
    }

    fn text(&self) -> String {
        let mut lines = vec![HEAD.to_owned()];
        for (number, proxy) in ALL.iter().enumerate() {
            for case in Case::ALL {
                for (kinds, entry) in self.rows(number, case) {
                    let Cell {
                        client,
                        server,
                        authority,
                    } = &entry.cell;
                    let fields = [
                        proxy.name,
                        case.name(),
                        &page::names(&kinds),
                        client,
                        server,
                        authority,
                        &entry.reason,
                    ];
                    lines.push(fields.join("\t"));
                }
            }
        }
        lines.join("\n") + "\n"
    }

    /// Returns the results of a case, each with the kinds that have it.
    pub(super) fn rows(&self, number: usize, case: Case) -> Vec<(Vec<Kind>, &Entry)> {
        page::by_result(|kind| self.0.get(&(number, case, kind)))
    }
}
