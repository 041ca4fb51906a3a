//! The ends of spans by the table, by the specification of gRPC and by OpenTelemetry's conventions.

use std::collections::BTreeMap;

use integration_tests::client::Kind;

use super::peer;
use super::table::{Cell, Key, Table};
use super::{Direction, End};

/// Returns the results that are not in the table, break a rule or lack a reason, as text.
pub(super) fn wrong_cells(table: &Table, found: &BTreeMap<Key, Cell>, is_update: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, cell) in found {
        let (number, direction, end, kind) = *key;
        let name = peer::ALL[number].name;
        let place = format!("{name}, {}, {}, {:?}", direction.role(), end.name(), Kind::ALL[kind]);
        let (caller, our, theirs) = (&cell.caller[0], &cell.ours[0], &cell.theirs[0]);
        let rule = ours(direction, end, caller);
        if !rule.contains(our) {
            wrong.push(format!(
                "{place}: ours is {our:?}, caller got {caller}, not one of {rule:?}"
            ));
        }
        if !is_conventional(direction, end, caller, theirs) && peer::ALL[number].reason(direction, end).is_none() {
            wrong.push(format!(
                "{place}: theirs is {theirs:?}, caller got {caller}, without a reason"
            ));
        }
        let is_expected = table.cells.get(key).is_some_and(|known| {
            known.caller.contains(caller) && known.ours.contains(our) && known.theirs.contains(theirs)
        });
        if !is_update && !is_expected {
            wrong.push(format!(
                "{place}: {cell:?}, but the table has {:?}",
                table.cells.get(key)
            ));
        }
    }
    wrong
}

/// Returns the ends that our span may have, whoever the peer is.
///
/// `caller` is the status code that the caller got, or `-` if there is none.
pub(super) fn ours(direction: Direction, end: End, caller: &str) -> Vec<String> {
    match direction {
        // A client that cannot compress its requests.
        Direction::Client if end == End::GzipRefused && caller == "OK" => vec!["OK".to_owned()],
        // A client that closes the connection on GOAWAY, and does not wait for its RPCs.
        Direction::Client if end == End::GoAway && caller == "UNAVAILABLE" => {
            ["OK", "CANCELLED"].map(str::to_owned).to_vec()
        }
        Direction::Client => server(end).iter().map(|&end| end.to_owned()).collect(),
        Direction::Server => client(end, caller),
    }
}

/// Returns the ends of the span of our server.
fn server(end: End) -> &'static [&'static str] {
    match end {
        End::Ok | End::GoAway | End::Gzip => &["OK"],
        End::Error | End::LateError => &["NOT_FOUND"],
        End::Failure => &["INTERNAL error INTERNAL"],
        End::Panic => &["UNKNOWN error panic"],
        End::Cancel | End::LateCancel | End::Killed => &["CANCELLED"],
        End::Deadline => &["DEADLINE_EXCEEDED error DEADLINE_EXCEEDED"],
        // As tonic does. Other implementations use RESOURCE_EXHAUSTED.
        End::LargeRequest => &["OUT_OF_RANGE"],
        // The client refuses the reply when it has read its length. The server may have sent all.
        End::LargeReply => &["OK", "CANCELLED"],
        End::GzipRefused | End::Unknown => &["UNIMPLEMENTED error UNIMPLEMENTED"],
    }
}

/// Returns the ends of the span of our client, which are what its caller got.
fn client(end: End, caller: &str) -> Vec<String> {
    let codes: &[&str] = match end {
        End::Ok | End::GoAway | End::Gzip => return vec!["OK".to_owned()],
        End::Error | End::LateError => &["NOT_FOUND"],
        End::Failure => &["INTERNAL"],
        // Implementations differ: they answer, reset the stream or end.
        End::Panic => &["UNKNOWN", "INTERNAL", "UNAVAILABLE", "CANCELLED"],
        // Nobody gets a status of what has been dropped.
        End::Cancel | End::LateCancel => return vec!["CANCELLED error CANCELLED".to_owned()],
        // tonic's timer makes it a cancellation for the caller.
        End::Deadline => return vec!["DEADLINE_EXCEEDED error DEADLINE_EXCEEDED".to_owned()],
        End::LargeRequest => &["RESOURCE_EXHAUSTED", "OUT_OF_RANGE"],
        End::LargeReply => &["OUT_OF_RANGE"],
        // The caller may get another code of an answer that is not gRPC, such as a page with 404.
        End::GzipRefused | End::Unknown => return vec!["UNIMPLEMENTED error UNIMPLEMENTED".to_owned()],
        // tonic's code of a connection that has been lost.
        End::Killed => &["UNAVAILABLE", "UNKNOWN"],
    };
    let codes = codes.iter().filter(|code| **code == caller);
    let transport = matches!(end, End::Killed | End::Panic);
    let ends = codes.flat_map(|code| {
        let types: &[&str] = if transport {
            &[code, "connection_reset"]
        } else {
            &[code]
        };
        types
            .iter()
            .map(|error| format!("{code} error {error}"))
            .collect::<Vec<_>>()
    });
    ends.collect()
}

/// Returns whether the peer's first span says what the conventions have for the end.
///
/// The error type of that span does not matter: older conventions have none.
pub(super) fn is_conventional(direction: Direction, end: End, caller: &str, theirs: &str) -> bool {
    let first = theirs.split(" > ").next().unwrap_or_default();
    let is = |code: &str, status: &str| {
        let expected = format!("{code}{status}");
        let rest = first.strip_prefix(&*expected);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' ') && !rest.starts_with(" error"))
    };
    match (direction, end) {
        (_, End::Killed) => first == "-",
        (Direction::Client, _) if caller == "OK" => is("OK", ""),
        (Direction::Client, _) => is(caller, " error"),
        (Direction::Server, End::Ok | End::GoAway | End::Gzip) => is("OK", ""),
        (Direction::Server, End::Error | End::LateError) => is("NOT_FOUND", ""),
        (Direction::Server, End::Failure) => is("INTERNAL", " error"),
        (Direction::Server, End::Panic) => is("UNKNOWN", " error") || is("INTERNAL", " error"),
        (Direction::Server, End::Cancel | End::LateCancel) => is("CANCELLED", ""),
        (Direction::Server, End::Deadline) => is("DEADLINE_EXCEEDED", " error"),
        (Direction::Server, End::LargeRequest) => is("RESOURCE_EXHAUSTED", "") || is("OUT_OF_RANGE", ""),
        (Direction::Server, End::LargeReply) => is("OK", "") || is("CANCELLED", ""),
        (Direction::Server, End::GzipRefused | End::Unknown) => is("UNIMPLEMENTED", " error"),
    }
}
