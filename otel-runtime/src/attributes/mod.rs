//! Span attributes: captured headers, fields, and the addresses of both ends of the connection.

pub(crate) mod captured_headers;
pub(crate) mod field_value;
pub(crate) mod header_pattern;
mod header_values;
pub(crate) mod peer_address;
pub(crate) mod server_address;
