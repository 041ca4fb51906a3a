//! The state of a call, from its start to its end, on either side of the connection.

pub(crate) mod active_call;
pub(crate) mod call;
pub(crate) mod call_log;
pub(crate) mod call_options;
pub(crate) mod current;
pub(crate) mod current_method;
pub(crate) mod extras;
mod late_context;
pub(crate) mod message_sizes;
pub(crate) mod method_scope;
pub(crate) mod origin;
pub(crate) mod pool;
pub(crate) mod request_body;
pub(crate) mod request_end;
pub(crate) mod response;
pub(crate) mod run;
