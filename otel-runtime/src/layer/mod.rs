//! The parts that the server's and the client's layer share: options, filters, the response.

pub(crate) mod call_options;
pub mod filter;
pub(crate) mod metric_attributes;
pub(crate) mod options;
pub(crate) mod request;
pub(crate) mod response_body;
pub(crate) mod response_future;
