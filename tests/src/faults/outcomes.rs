//! The outcomes that telemetry must report, derived from what the callers observed.

use std::collections::BTreeMap;

use tonic::Code;

use super::caller::CompletedCall;
use super::exchange::Reply;
use super::script::{CallerAction, ObservedEnd, ServerAction};
use crate::client::code_name;

/// The number of RPCs by outcome: a status code, or `panic`.
pub(super) type OutcomeCounts = BTreeMap<String, u64>;

/// The minimum number of RPCs with each outcome, and how many more are possible.
///
/// A cancellation may come too late, so its outcome varies.
#[derive(Debug, Default)]
pub(super) struct ExpectedOutcomes(BTreeMap<&'static str, (u64, u64)>);

const OK: &str = "OK";
const CANCELLED: &str = "CANCELLED";
const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
const UNAVAILABLE: &str = "UNAVAILABLE";
const UNIMPLEMENTED: &str = "UNIMPLEMENTED";
const PANIC: &str = "panic";

impl ExpectedOutcomes {
    /// Returns the outcomes expected in the callers' telemetry.
    pub(super) fn of_clients<'a>(all: impl Iterator<Item = &'a CompletedCall>) -> Self {
        let mut expected = ExpectedOutcomes::default();
        for made in all {
            match (made.script.way, made.seen) {
                // tonic reports an exceeded deadline as `CANCELLED`.
                (CallerAction::Deadline(_), ObservedEnd::Code(Code::Cancelled)) => {
                    expected.certainly(DEADLINE_EXCEEDED);
                }
                // The code of the HTTP status. tonic makes another one of the page.
                (CallerAction::ReadPage, _) => expected.certainly(UNAVAILABLE),
                (_, ObservedEnd::Code(code)) => expected.certainly(code_name(code)),
                // Unless the end has arrived by then.
                (_, ObservedEnd::CancelledAfterMessage | ObservedEnd::CancelledAnytime) => {
                    expected.possibly(&[CANCELLED, made.script.act.code()]);
                }
            }
        }
        expected
    }

    /// Returns the outcomes expected in the service's telemetry.
    ///
    /// With only the attribute, only RPCs that reach a handler are recorded.
    pub(super) fn of_servers<'a>(all: impl Iterator<Item = &'a CompletedCall> + Clone, has_layer: bool) -> Self {
        let mut expected = ExpectedOutcomes::default();
        for made in all.clone() {
            if has_layer || made.reaches_a_handler() {
                expected.of_server(made, has_layer);
            }
        }
        let mut ways = all.map(|made| made.script.way);
        if ways.any(|way| matches!(way, CallerAction::Deadline(_))) {
            // At least one RPC arrives early enough for the server to see its deadline pass.
            expected.certainly(DEADLINE_EXCEEDED);
        }
        expected
    }

    fn of_server(&mut self, made: &CompletedCall, has_layer: bool) {
        let CompletedCall { script, reply, seen } = made;
        let panics = matches!(script.act, ServerAction::Panic | ServerAction::PanicInDrop) && !script.path_is_unknown;
        match (script.way, *seen) {
            (CallerAction::ReadPage, _) => self.certainly(UNAVAILABLE),
            // Nobody got what the handler, or tonic, made of the rest of the request.
            (CallerAction::BreakUpload(_), _)
            | (CallerAction::ResetUpload(_) | CallerAction::HalfMessage(_), ObservedEnd::CancelledAnytime) => {
                self.possibly(&[CANCELLED]);
                if script.path_is_unknown {
                    self.possibly(&[UNIMPLEMENTED]);
                } else if !has_layer {
                    self.possibly(&[OK, "INTERNAL", "INVALID_ARGUMENT", "UNKNOWN"]);
                }
            }
            (_, ObservedEnd::Code(_)) if panics => self.certainly(PANIC),
            (_, ObservedEnd::CancelledAnytime) if panics => self.possibly(&[PANIC, CANCELLED]),
            // If the RPC arrived late, its deadline may not have passed by the server's clock when
            // the caller cancels.
            (CallerAction::Deadline(_), _) => self.possibly(&[DEADLINE_EXCEEDED, CANCELLED]),
            // The caller observed the status of the broken connection, not the server's.
            (CallerAction::Refuse, _) if !script.path_is_unknown => self.possibly(&[OK, CANCELLED]),
            (CallerAction::BreakConnection, _) if *reply == Reply::Cancelled => self.certainly(CANCELLED),
            (_, ObservedEnd::Code(code)) => self.certainly(code_name(code)),
            (_, ObservedEnd::CancelledAfterMessage) if script.act == ServerAction::Hang => self.certainly(CANCELLED),
            (_, ObservedEnd::CancelledAnytime) if script.path_is_unknown => self.possibly(&[UNIMPLEMENTED, CANCELLED]),
            (_, ObservedEnd::CancelledAnytime) if script.act == ServerAction::Hang => self.possibly(&[CANCELLED]),
            (_, ObservedEnd::CancelledAfterMessage | ObservedEnd::CancelledAnytime) => self.possibly(&[OK, CANCELLED]),
        }
    }

    fn certainly(&mut self, end: &'static str) {
        self.0.entry(end).or_default().0 += 1;
    }

    fn possibly(&mut self, ends: &[&'static str]) {
        for end in ends {
            self.0.entry(end).or_default().1 += 1;
        }
    }

    /// Asserts that the found counts are within the expected ones.
    pub(super) fn assert_match(&self, found: &OutcomeCounts, whose: &str) {
        let are = self.0.iter().all(|(end, (certainly, possibly))| {
            let found = found.get(*end).copied().unwrap_or_default();
            (*certainly..=certainly + possibly).contains(&found)
        });
        let no_other = found.keys().all(|end| self.0.contains_key(&**end));
        assert!(are && no_other, "{whose}: {found:?} are not {self:?}");
    }
}

impl CompletedCall {
    /// Returns whether the RPC reaches a handler, provided that it arrives.
    fn reaches_a_handler(&self) -> bool {
        let has_message = !matches!(
            self.script.way,
            CallerAction::SendNothing | CallerAction::HalfMessage(_)
        );
        let is_called = has_message || self.script.kind.requests_a_stream();
        is_called && !self.script.path_is_unknown && self.script.way != CallerAction::ReadPage
    }
}
