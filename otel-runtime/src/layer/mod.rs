//! The parts that the server's and the client's layer share: options, filters, the response.

pub mod filter;
pub(crate) mod options;
pub(crate) mod request;
pub(crate) mod response_body;
pub(crate) mod response_future;
