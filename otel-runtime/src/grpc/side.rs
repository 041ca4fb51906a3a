//! The two ends of a call, and the two directions of its messages.

/// The end of the connection that records a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Server,
    Client,
}

/// The direction of a message, as seen from the side that records the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Received,
    Sent,
}

/// The side that a type is for, known at compile time.
pub(crate) trait Role {
    const SIDE: Side;
}

/// The role of a server: its calls are the current ones while they run.
#[derive(Debug)]
pub(crate) enum Server {}

/// The role of a client: its calls hide the current one while they run.
#[derive(Debug)]
pub(crate) enum Client {}

impl Role for Server {
    const SIDE: Side = Side::Server;
}

impl Role for Client {
    const SIDE: Side = Side::Client;
}
