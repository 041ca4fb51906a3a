//! Calls, and the events on their way.

use integration_tests::client::Kind;

/// A call through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Case {
    Ok,
    Error,
    LateError,
    Panic,
    Cancel,
    Deadline,
    LargeMessages,
    UnknownMethod,
    NoRoute,
    SlowServer,
    NoServer,
}

impl Case {
    /// All variants.
    pub const ALL: [Case; 11] = [
        Case::Ok,
        Case::Error,
        Case::LateError,
        Case::Panic,
        Case::Cancel,
        Case::Deadline,
        Case::LargeMessages,
        Case::UnknownMethod,
        Case::NoRoute,
        Case::SlowServer,
        Case::NoServer,
    ];

    /// Returns the name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Case::Ok => "ok",
            Case::Error => "error",
            Case::LateError => "late error",
            Case::Panic => "panic",
            Case::Cancel => "cancel",
            Case::Deadline => "deadline",
            Case::LargeMessages => "large messages",
            Case::UnknownMethod => "unknown method",
            Case::NoRoute => "no route",
            Case::SlowServer => "slow server",
            Case::NoServer => "no server",
        }
    }

    /// Returns the description on the page.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Case::Ok => "the handler replies",
            Case::Error => "the handler fails with NOT_FOUND",
            Case::LateError => "the handler fails with NOT_FOUND after a message",
            Case::Panic => "the handler panics",
            Case::Cancel => "the client cancels before the reply",
            Case::Deadline => "the client's deadline of 0.3 s passes",
            Case::LargeMessages => "the request and the reply have 2 MiB",
            Case::UnknownMethod => "the server does not have the method",
            Case::NoRoute => "the proxy has no route for the path",
            Case::SlowServer => {
                "no reply within the 1 s that the proxy waits; without a limit, the client cancels after 2 s"
            }
            Case::NoServer => "nothing listens where the proxy forwards the call to",
        }
    }

    /// Returns the kinds of RPCs that have the case.
    #[must_use]
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Case::LateError => &[Kind::ServerStream, Kind::Bidi],
            // Without a handler, all kinds are alike.
            Case::UnknownMethod | Case::NoRoute => &[Kind::Unary],
            _ => &Kind::ALL,
        }
    }

    /// Returns whether only calls through a proxy have the case.
    pub(super) fn needs_proxy(self) -> bool {
        matches!(self, Case::NoRoute | Case::SlowServer | Case::NoServer)
    }
}
