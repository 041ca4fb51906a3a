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
