//! gRPC over HTTP/2, as its [protocol] defines it: paths, headers, frames, and how a call ends.
//!
//! OpenTelemetry appears only in the attribute values and the span status of an [`outcome`].
//!
//! [protocol]: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md

pub(crate) mod content_type;
pub(crate) mod deadline;
pub(crate) mod failures;
pub(crate) mod message_frames;
pub(crate) mod outcome;
pub(crate) mod path;
pub(crate) mod progress;
pub(crate) mod request_headers;
pub(crate) mod response_status;
pub(crate) mod side;
