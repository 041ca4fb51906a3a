//! The script of an RPC, for both ends.

use fastrand::Rng;
use tonic::Code;

use crate::client::{Kind, code_name};

/// How the service handles an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Replies.
    Reply,
    /// Replies with more than fits into a connection's window.
    ReplyAtLength,
    /// Fails with this code.
    Fail(i32),
    /// Panics.
    Panic,
    /// Replies, and panics when it drops what it had.
    PanicInDrop,
    /// Never replies.
    Hang,
}

impl Act {
    /// The name of the code that it ends with, if it ends by itself.
    pub(super) fn code(self) -> &'static str {
        match self {
            Act::Fail(code) => code_name(Code::from(code)),
            Act::Reply | Act::ReplyAtLength | Act::Panic | Act::PanicInDrop | Act::Hang => "OK",
        }
    }
}

/// How the caller treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Reads all.
    Read,
    /// Reads all, and takes its time.
    ReadSlowly,
    /// Reads all, and never ends its own stream.
    KeepOpen,
    /// Sends nothing.
    SendNothing,
    /// Has a deadline, in milliseconds.
    Deadline(u64),
    /// Goes away after so many microseconds.
    GoAway(u64),
    /// Goes away after the first message.
    GoAwayLater,
    /// The connection breaks after the first message.
    Cut,
}

/// The functions that panic on request.
pub(super) const PANICS: [&str; 4] = ["filter", "public_endpoint_if", "span_attributes", "fields"];

/// The end of an RPC as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// This code.
    Code(Code),
    /// None: it went away behind the first message.
    WentAway,
    /// None: it went away at any moment, before it had made the RPC, perhaps.
    WentAwayAnytime,
}

/// An RPC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    pub(super) kind: Kind,
    pub(super) act: Act,
    /// Whether it is done behind the first message of a response stream.
    pub(super) later: bool,
    pub(super) way: Way,
    /// The user's function that panics.
    pub(super) panics: Option<&'static str>,
    pub(super) path_is_unknown: bool,
}

impl Script {
    /// Comes to its end even if it is read late.
    pub(super) const LONG: Script = Script::plain(Act::ReplyAtLength);
    /// Does not come to its end.
    pub(super) const ENDLESS: Script = Script::plain(Act::Hang);

    const fn plain(act: Act) -> Self {
        Script {
            kind: Kind::ServerStream,
            act,
            later: true,
            way: Way::Read,
            panics: None,
            path_is_unknown: false,
        }
    }

    pub(super) fn draw(random: &mut Rng) -> Self {
        let mut kind = *random.choice(&Kind::ALL).expect("there are four");
        let (act, way) = match random.u8(0..20) {
            0 => (Act::Panic, Way::Read),
            1 => (Act::PanicInDrop, Way::Read),
            2 => (Act::PanicInDrop, Way::GoAway(random.u64(..500))),
            3 | 4 => (Act::Fail(random.i32(1..=16)), Way::Read),
            5 => (Act::Reply, Way::KeepOpen),
            6 => (Act::Reply, Way::SendNothing),
            7 => (Act::Hang, Way::Deadline(random.u64(1..30))),
            8 | 9 => (Act::Hang, Way::GoAway(random.u64(..2000))),
            10 => (Act::Reply, Way::GoAway(random.u64(..500))),
            11 => (Act::ReplyAtLength, Way::GoAwayLater),
            12 => (Act::ReplyAtLength, Way::ReadSlowly),
            13 => (Act::Hang, Way::Cut),
            _ => (Act::Reply, Way::Read),
        };
        match way {
            // The service reads these to the end before it does anything.
            Way::KeepOpen if matches!(kind, Kind::Unary | Kind::ServerStream) => kind = Kind::Bidi,
            Way::Cut if !kind.replies_with_a_stream() => kind = Kind::ServerStream,
            _ => {}
        }
        Script {
            kind,
            act,
            // tonic watches over a deadline until there is a response.
            later: match way {
                Way::Deadline(_) => false,
                Way::Cut => true,
                _ => random.bool(),
            },
            way,
            panics: if random.u8(0..5) == 0 {
                random.choice(PANICS)
            } else {
                None
            },
            // An RPC with a deadline is meant to miss it.
            path_is_unknown: !matches!(way, Way::Deadline(_)) && random.u8(0..20) == 0,
        }
    }

    /// As the service reads it.
    pub(super) fn text(&self) -> String {
        let act = match self.act {
            Act::Reply => "reply".to_owned(),
            Act::ReplyAtLength => "reply at length".to_owned(),
            Act::Fail(code) => format!("fail {code}"),
            Act::Panic => "panic".to_owned(),
            Act::PanicInDrop => "panic in drop".to_owned(),
            Act::Hang => "hang".to_owned(),
        };
        if self.later { format!("later {act}") } else { act }
    }
}
