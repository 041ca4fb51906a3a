//! How RPCs have to have ended, by what their callers saw.

use std::collections::BTreeMap;

use tonic::Code;

use super::caller::{Made, Reply};
use super::script::{Act, Seen, Way};
use crate::client::{Kind, code_name};

/// How many RPCs ended in each way: with a code, or with `panic`.
pub(super) type Ends = BTreeMap<String, u64>;

/// How many have to have ended in each way, and how many more may have: who goes away may be too
/// late.
#[derive(Debug, Default)]
pub(super) struct Expected(BTreeMap<&'static str, (u64, u64)>);

const OK: &str = "OK";
const CANCELLED: &str = "CANCELLED";
const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
const UNIMPLEMENTED: &str = "UNIMPLEMENTED";
const PANIC: &str = "panic";

impl Expected {
    /// Ends in the callers' telemetry.
    pub(super) fn of_clients<'a>(all: impl Iterator<Item = &'a Made>) -> Self {
        let mut expected = Expected::default();
        for made in all {
            match (made.script.way, made.seen) {
                // tonic's word for it.
                (Way::Deadline(_), Seen::Code(Code::Cancelled)) => expected.surely(DEADLINE_EXCEEDED),
                (_, Seen::Code(code)) => expected.surely(code_name(code)),
                // Unless the end has arrived by then.
                (_, Seen::WentAway | Seen::WentAwayAnytime) => {
                    expected.perhaps(&[CANCELLED, made.script.act.code()]);
                }
            }
        }
        expected
    }

    /// Ends in the service's telemetry. With the attribute alone, only RPCs that reach a handler
    /// count.
    pub(super) fn of_servers<'a>(all: impl Iterator<Item = &'a Made> + Clone, has_layer: bool) -> Self {
        let mut expected = Expected::default();
        for made in all.clone() {
            if has_layer || made.reaches_a_handler() {
                expected.of_server(made);
            }
        }
        let mut ways = all.map(|made| made.script.way);
        if ways.any(|way| matches!(way, Way::Deadline(_))) {
            // Not all of them arrive too late for that.
            expected.surely(DEADLINE_EXCEEDED);
        }
        expected
    }

    fn of_server(&mut self, made: &Made) {
        let Made { script, reply, seen } = made;
        let panics = matches!(script.act, Act::Panic | Act::PanicInDrop) && !script.path_is_unknown;
        match (script.way, *seen) {
            (_, Seen::Code(_)) if panics => self.surely(PANIC),
            (_, Seen::WentAwayAnytime) if panics => self.perhaps(&[PANIC, CANCELLED]),
            // The RPC may have arrived so late that it is not late by this clock when the caller
            // hangs up.
            (Way::Deadline(_), _) => self.perhaps(&[DEADLINE_EXCEEDED, CANCELLED]),
            // The caller saw the status of the broken connection.
            (Way::Cut, _) if *reply == Reply::GivenUp => self.surely(CANCELLED),
            (_, Seen::Code(code)) => self.surely(code_name(code)),
            (_, Seen::WentAway) if script.act == Act::Hang => self.surely(CANCELLED),
            (_, Seen::WentAwayAnytime) if script.path_is_unknown => self.perhaps(&[UNIMPLEMENTED, CANCELLED]),
            (_, Seen::WentAwayAnytime) if script.act == Act::Hang => self.perhaps(&[CANCELLED]),
            (_, Seen::WentAway | Seen::WentAwayAnytime) => self.perhaps(&[OK, CANCELLED]),
        }
    }

    fn surely(&mut self, end: &'static str) {
        self.0.entry(end).or_default().0 += 1;
    }

    fn perhaps(&mut self, ends: &[&'static str]) {
        for end in ends {
            self.0.entry(end).or_default().1 += 1;
        }
    }

    /// Asserts that these are the ends.
    pub(super) fn assert_are(&self, found: &Ends, whose: &str) {
        let are = self.0.iter().all(|(end, (surely, perhaps))| {
            let found = found.get(*end).copied().unwrap_or_default();
            (*surely..=surely + perhaps).contains(&found)
        });
        let no_other = found.keys().all(|end| self.0.contains_key(&**end));
        assert!(are && no_other, "{whose}: {found:?} are not {self:?}");
    }
}

impl Made {
    /// If it arrives.
    fn reaches_a_handler(&self) -> bool {
        let waits_for_a_message = matches!(self.script.kind, Kind::Unary | Kind::ServerStream);
        !(self.script.path_is_unknown || self.script.way == Way::SendNothing && waits_for_a_message)
    }
}
