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

impl Side {
    /// Returns the direction of a request's messages.
    pub(crate) const fn request_direction(self) -> Direction {
        match self {
            Side::Server => Direction::Received,
            Side::Client => Direction::Sent,
        }
    }

    /// Returns the direction of a response's messages.
    pub(crate) const fn response_direction(self) -> Direction {
        match self {
            Side::Server => Direction::Sent,
            Side::Client => Direction::Received,
        }
    }
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
