//! The script of an RPC, for both ends.

use fastrand::Rng;
use tonic::Code;

use crate::client::Kind;

/// How the service handles an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerAction {
    /// Replies.
    Reply,
    /// Replies with more than fits into a connection's window.
    LongReply,
    /// Fails with this code.
    Fail(i32),
    /// Panics.
    Panic,
    /// Replies, and panics when it drops what it had.
    PanicInDrop,
    /// Never replies.
    Hang,
}

/// How the caller treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerAction {
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
    CancelAfter(u64),
    /// Goes away after the first message.
    CancelAfterMessage,
    /// The connection breaks after the first message.
    BreakConnection,
}

/// The functions that panic on request.
pub(super) const PANICS: [&str; 4] = ["filter", "public_endpoint_if", "span_attributes", "fields"];

/// The end of an RPC as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObservedEnd {
    /// This code.
    Code(Code),
    /// None: it went away behind the first message.
    CancelledAfterMessage,
    /// None: it went away at any moment, before it had made the RPC, possibly.
    CancelledAnytime,
}

/// An RPC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    pub(super) kind: Kind,
    pub(super) act: ServerAction,
    /// Whether it is done behind the first message of a response stream.
    pub(super) later: bool,
    pub(super) way: CallerAction,
    /// The user's function that panics.
    pub(super) panics: Option<&'static str>,
    pub(super) path_is_unknown: bool,
}

impl Script {
    /// Comes to its end even if it is read late.
    pub(super) const LONG: Script = Script::plain(ServerAction::LongReply);
    /// Does not come to its end.
    pub(super) const ENDLESS: Script = Script::plain(ServerAction::Hang);

    const fn plain(act: ServerAction) -> Self {
        Script {
            kind: Kind::ServerStream,
            act,
            later: true,
            way: CallerAction::Read,
            panics: None,
            path_is_unknown: false,
        }
    }

    pub(super) fn draw(random: &mut Rng) -> Self {
        let mut kind = *random.choice(&Kind::ALL).expect("there are four");
        let (act, way) = match random.u8(0..20) {
            0 => (ServerAction::Panic, CallerAction::Read),
            1 => (ServerAction::PanicInDrop, CallerAction::Read),
            2 => (ServerAction::PanicInDrop, CallerAction::CancelAfter(random.u64(..500))),
            3 | 4 => (ServerAction::Fail(random.i32(1..=16)), CallerAction::Read),
            5 => (ServerAction::Reply, CallerAction::KeepOpen),
            6 => (ServerAction::Reply, CallerAction::SendNothing),
            7 => (ServerAction::Hang, CallerAction::Deadline(random.u64(1..30))),
            8 | 9 => (ServerAction::Hang, CallerAction::CancelAfter(random.u64(..2000))),
            10 => (ServerAction::Reply, CallerAction::CancelAfter(random.u64(..500))),
            11 => (ServerAction::LongReply, CallerAction::CancelAfterMessage),
            12 => (ServerAction::LongReply, CallerAction::ReadSlowly),
            13 => (ServerAction::Hang, CallerAction::BreakConnection),
            _ => (ServerAction::Reply, CallerAction::Read),
        };
        match way {
            // The service reads these to the end before it does anything.
            CallerAction::KeepOpen if matches!(kind, Kind::Unary | Kind::ServerStream) => kind = Kind::Bidi,
            CallerAction::BreakConnection if !kind.replies_with_a_stream() => kind = Kind::ServerStream,
            _ => {}
        }
        Script {
            kind,
            act,
            // tonic watches over a deadline until there is a response.
            later: match way {
                CallerAction::Deadline(_) => false,
                CallerAction::BreakConnection => true,
                _ => random.bool(),
            },
            way,
            panics: if random.u8(0..5) == 0 {
                random.choice(PANICS)
            } else {
                None
            },
            // An RPC with a deadline is meant to miss it.
            path_is_unknown: !matches!(way, CallerAction::Deadline(_)) && random.u8(0..20) == 0,
        }
    }

    /// As the service reads it.
    pub(super) fn text(&self) -> String {
        let act = match self.act {
            ServerAction::Reply => "reply".to_owned(),
            ServerAction::LongReply => "reply at length".to_owned(),
            ServerAction::Fail(code) => format!("fail {code}"),
            ServerAction::Panic => "panic".to_owned(),
            ServerAction::PanicInDrop => "panic in drop".to_owned(),
            ServerAction::Hang => "hang".to_owned(),
        };
        if self.later { format!("later {act}") } else { act }
    }
}
