//! The matrix of gRPC implementations: each calls our server, and is called by our client.
//!
//! `peers/interop.tsv` has the expected result of each cell, and `rules` what all cells must have
//! in common.

pub mod launch;
pub mod names;
mod observe;
mod ours;
mod page;
pub mod peer;
mod process;
mod rules;
mod run;
pub mod table;

pub use page::check as check_page;
pub use run::run;

use integration_tests::client::Kind;

use self::peer::Peer;

/// The caller and the called of an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// The peer calls our server.
    Client,
    /// Our client calls the peer.
    Server,
}

impl Direction {
    /// All variants.
    pub const ALL: [Direction; 2] = [Direction::Client, Direction::Server];

    /// Returns the role of the peer.
    #[must_use]
    pub fn role(self) -> &'static str {
        match self {
            Direction::Client => "client",
            Direction::Server => "server",
        }
    }
}

/// The end of an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum End {
    Ok,
    Error,
    LateError,
    Failure,
    Panic,
    Cancel,
    LateCancel,
    Deadline,
    LargeRequest,
    LargeReply,
    Gzip,
    GzipRefused,
    Unknown,
    GoAway,
    Killed,
}

impl End {
    /// All variants, in the order in which a process is made to go through them.
    pub const ALL: [End; 15] = [
        End::Ok,
        End::Error,
        End::LateError,
        End::Failure,
        End::Cancel,
        End::LateCancel,
        End::Deadline,
        End::LargeRequest,
        End::LargeReply,
        End::Gzip,
        End::GzipRefused,
        End::Unknown,
        End::Panic,
        End::GoAway,
        End::Killed,
    ];

    /// Returns the name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            End::Ok => "ok",
            End::Error => "error",
            End::LateError => "late error",
            End::Failure => "failure",
            End::Panic => "panic",
            End::Cancel => "cancel",
            End::LateCancel => "late cancel",
            End::Deadline => "deadline",
            End::LargeRequest => "large request",
            End::LargeReply => "large reply",
            End::Gzip => "gzip",
            End::GzipRefused => "gzip refused",
            End::Unknown => "unknown method",
            End::GoAway => "GOAWAY",
            End::Killed => "killed",
        }
    }

    /// Returns the meaning of the end, for a page.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            End::Ok => "the handler replies",
            End::Error => "the handler fails with NOT_FOUND",
            End::LateError => "the handler fails with NOT_FOUND after a message",
            End::Failure => "the handler fails with INTERNAL",
            End::Panic => "the handler panics, or throws an exception",
            End::Cancel => "the client cancels before the reply",
            End::LateCancel => "the client cancels after a message",
            End::Deadline => "the client's deadline passes",
            End::LargeRequest => "the request has 5 MiB, and the server accepts 4",
            End::LargeReply => "the reply has 5 MiB, and the client accepts 4",
            End::Gzip => "the request is compressed, if the client can",
            End::GzipRefused => "the request is compressed, if the client can, and the server does not accept that",
            End::Unknown => "the server does not have the method",
            End::GoAway => "the server shuts down gracefully during the call",
            End::Killed => "the process of the peer is killed during the call",
        }
    }

    /// Returns the text of the first message, which tells the handler what to do.
    fn text(self) -> &'static str {
        match self {
            End::Ok | End::Gzip | End::GzipRefused | End::Unknown => "hello",
            End::Error => "5",
            End::LateError => "later 5",
            End::Failure => "13",
            End::Panic => "panic",
            End::Cancel | End::Deadline | End::GoAway | End::Killed => "wait",
            End::LateCancel => "later wait",
            End::LargeRequest => "large-request",
            End::LargeReply => "large",
        }
    }

    /// Returns whether the handler waits, until it is released or gone.
    fn waits(self) -> bool {
        self.text().ends_with("wait")
    }

    /// Returns whether RPCs of all kinds end at once, because the process ends.
    fn ends_the_process(self) -> bool {
        matches!(self, End::GoAway | End::Killed)
    }

    /// Returns whether there are such RPCs.
    ///
    /// Peers accept gzip, so only our server can refuse it.
    #[must_use]
    pub fn applies(self, peer: &Peer, direction: Direction, kind: Kind) -> bool {
        match self {
            end if peer.never_ends.contains(&(direction, end)) => false,
            End::LateError | End::LateCancel => kind.replies_with_a_stream(),
            End::GzipRefused => direction == Direction::Client,
            _ => true,
        }
    }
}
