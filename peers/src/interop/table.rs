//! The table of expected results, `peers/interop.tsv`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, PoisonError};

use integration_tests::client::Kind;

use super::{Direction, End, peer};
use crate::page;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/interop.tsv");
const HEAD: &str = "peer\trole of the peer\tend\tkinds\tcaller\tours\ttheirs";

/// The place of a result in the table: the number of the peer, the direction, the end, the kind.
pub type Key = (usize, Direction, End, usize);

/// The result of an RPC. Expected results may have several texts, for what is a race.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The status code that the caller gets.
    pub caller: Vec<String>,
    /// The end of our span.
    pub ours: Vec<String>,
    /// The ends of the peer's spans.
    pub theirs: Vec<String>,
}

/// The expected results.
#[derive(Debug, Default)]
pub struct Table {
    /// The results.
    pub cells: BTreeMap<Key, Cell>,
}

impl Table {
    /// Reads the table.
    #[must_use]
    pub fn read() -> Self {
        let mut table = Table::default();
        let text = fs::read_to_string(PATH).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [name, role, end, kinds, caller, ours, theirs] = fields[..] else {
                panic!("not seven columns: {line}")
            };
            let all = |text: &str| text.split(" | ").map(str::to_owned).collect();
            let cell = Cell {
                caller: all(caller),
                ours: all(ours),
                theirs: all(theirs),
            };
            let Some(number) = peer::ALL.iter().position(|peer| peer.name == name) else {
                panic!("no peer: {line}")
            };
            let direction = Direction::ALL.into_iter().find(|direction| direction.role() == role);
            let end = End::ALL.into_iter().find(|known| known.name() == end);
            for kind in kinds.split(", ") {
                let kind = Kind::ALL.iter().position(|known| format!("{known:?}") == kind);
                let key = (number, direction.unwrap(), end.unwrap(), kind.unwrap());
                table.cells.insert(key, cell.clone());
            }
        }
        table
    }

    /// Replaces the results of a peer in the file.
    pub fn replace(number: usize, direction: Direction, found: BTreeMap<Key, Cell>) {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::read();
        table.cells.retain(|key, _| (key.0, key.1) != (number, direction));
        table.cells.extend(found);
        fs::write(PATH, table.text()).unwrap();
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for (number, peer) in peer::ALL.iter().enumerate() {
            for direction in Direction::ALL {
                for end in End::ALL {
                    for (kinds, cell) in self.rows(number, direction, end) {
                        let fields = [
                            peer.name,
                            direction.role(),
                            end.name(),
                            &page::names(&kinds),
                            &cell.caller.join(" | "),
                            &cell.ours.join(" | "),
                            &cell.theirs.join(" | "),
                        ];
                        writeln!(text, "{}", fields.join("\t")).unwrap();
                    }
                }
            }
        }
        text
    }

    /// Returns the results of an end, each with the kinds that have it.
    #[must_use]
    pub fn rows(&self, number: usize, direction: Direction, end: End) -> Vec<(Vec<Kind>, &Cell)> {
        page::by_result(|kind| self.cells.get(&(number, direction, end, kind)))
    }
}
