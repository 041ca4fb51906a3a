//! The state of a call, from its start to its end, on either side of the connection.

pub(crate) mod active_call;
pub(crate) mod call;
pub(crate) mod current;
pub(crate) mod message_sizes;
pub(crate) mod origin;
pub(crate) mod pool;
pub(crate) mod request_body;
pub(crate) mod response;
