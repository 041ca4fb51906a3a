//! The script of an RPC, for its caller and its handler.

use fastrand::Rng;
use tonic::Code;

use crate::client::{Kind, code_name};

/// The action of the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerAction {
    /// Replies.
    Reply,
    /// Replies with more than fits into the flow-control window.
    LongReply,
    /// Replies with a message that arrives in two pieces.
    LargeReply,
    /// Fails with this code.
    Fail(i32),
    /// Panics.
    Panic,
    /// Replies, and panics when a local variable is dropped.
    PanicInDrop,
    /// Replies when the request stream has ended.
    ReadAll,
    /// Never replies.
    Hang,
}

impl ServerAction {
    /// Returns the name of the code that it ends with, if it ends by itself.
    pub(super) fn code(self) -> &'static str {
        match self {
            ServerAction::Fail(code) => code_name(Code::from(code)),
            ServerAction::Reply
            | ServerAction::LongReply
            | ServerAction::LargeReply
            | ServerAction::Panic
            | ServerAction::PanicInDrop
            | ServerAction::ReadAll
            | ServerAction::Hang => "OK",
        }
    }
}

/// The action of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerAction {
    /// Reads the response to its end.
    Read,
    /// Reads the response to its end, slowly.
    ReadSlowly,
    /// Reads the response to its end, and never ends the request stream.
    KeepOpen,
    /// Sends no message.
    SendNothing,
    /// Sets a deadline, in milliseconds.
    Deadline(u64),
    /// Cancels after this time, in microseconds.
    CancelAfter(u64),
    /// Cancels after the first message.
    CancelAfterMessage,
    /// Breaks the connection after the first message.
    BreakConnection,
    /// Sends a message, and cancels after this time, in microseconds, while more may follow.
    ResetUpload(u64),
    /// Sends a message, and breaks the connection after this time, in microseconds.
    BreakUpload(u64),
    /// Sends half a message, and cancels after this time, in microseconds.
    HalfMessage(u64),
    /// Refuses a message of the response, as too large.
    Refuse,
    /// Reads the response of a proxy, which does not pass the request on.
    ReadPage,
    /// Reads the response of a layer that catches the handler's panic.
    ReadCaught,
}

/// The user-provided functions that panic on request.
pub(super) const PANICS: [&str; 4] = ["filter", "public_endpoint_if", "span_attributes", "fields"];

/// The end of an RPC as its caller observes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObservedEnd {
    /// The call ended with a status code.
    Code(Code),
    /// None: the caller cancelled after the first message.
    CancelledAfterMessage,
    /// None: the caller cancelled at any time, possibly before the request was sent.
    CancelledAnytime,
}

/// The script of an RPC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    pub(super) kind: Kind,
    pub(super) act: ServerAction,
    /// Whether the handler acts after the first message of a response stream.
    pub(super) later: bool,
    pub(super) way: CallerAction,
    /// The user-provided function that panics.
    pub(super) panics: Option<&'static str>,
    pub(super) path_is_unknown: bool,
}

impl Script {
    /// A long response stream that ends even if it is read late.
    pub(super) const LONG: Script = Script::plain(ServerAction::LongReply);
    /// A response stream that never ends.
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
        let (act, way) = match random.u8(0..26) {
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
            14 => (ServerAction::ReadAll, CallerAction::ResetUpload(random.u64(..2000))),
            15 => (ServerAction::ReadAll, CallerAction::BreakUpload(random.u64(..2000))),
            16 => (ServerAction::Reply, CallerAction::HalfMessage(random.u64(..2000))),
            17 => (ServerAction::LargeReply, CallerAction::Refuse),
            18 => (ServerAction::Reply, CallerAction::ReadPage),
            19 => (ServerAction::Panic, CallerAction::ReadCaught),
            _ => (ServerAction::Reply, CallerAction::Read),
        };
        match way {
            // Handlers of these kinds of RPC run after the whole request has arrived.
            CallerAction::KeepOpen if matches!(kind, Kind::Unary | Kind::ServerStream) => kind = Kind::Bidi,
            CallerAction::BreakConnection if !kind.replies_with_a_stream() => kind = Kind::ServerStream,
            CallerAction::ResetUpload(_) | CallerAction::BreakUpload(_) if !kind.requests_a_stream() => {
                kind = Kind::ClientStream;
            }
            _ => {}
        }
        Script {
            kind,
            act,
            // tonic enforces a deadline only until the response headers.
            later: match way {
                // Nor does a layer catch what a response stream panics with.
                // Behind another message, nothing tells a refusal from a caller who leaves.
                CallerAction::Deadline(_) | CallerAction::ReadCaught | CallerAction::Refuse => false,
                CallerAction::BreakConnection => true,
                _ => random.bool(),
            },
            way,
            panics: if random.u8(0..5) == 0 {
                random.choice(PANICS)
            } else {
                None
            },
            // An RPC with a deadline must exceed it, so it needs a handler.
            path_is_unknown: !matches!(way, CallerAction::Deadline(_)) && random.u8(0..20) == 0,
        }
    }

    /// Returns the message that tells the handler its action.
    pub(super) fn text(&self) -> String {
        let act = match self.act {
            ServerAction::Reply => "reply".to_owned(),
            ServerAction::LongReply => "reply at length".to_owned(),
            ServerAction::LargeReply => "reply large".to_owned(),
            ServerAction::Fail(code) => format!("fail {code}"),
            ServerAction::Panic => "panic".to_owned(),
            ServerAction::PanicInDrop => "panic in drop".to_owned(),
            ServerAction::ReadAll => "read all".to_owned(),
            ServerAction::Hang => "hang".to_owned(),
        };
        if self.later { format!("later {act}") } else { act }
    }
}
