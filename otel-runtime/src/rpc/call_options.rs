//! Options of a layer that its calls need until their end, and what they need to know of a request.

use std::fmt;

use http::{HeaderMap, HeaderName};

use super::call_log::{CallLog, Remote};
use crate::grpc::failures::Failures;
use crate::grpc::request_headers::get_first;

/// Options of a layer that its calls need until their end.
#[derive(Clone, Default)]
pub(crate) struct CallOptions {
    pub(crate) failures: Option<Failures>,
    pub(crate) log: Option<CallLog>,
    pub(crate) message_counts: bool,
    /// Whether gRPC's metrics of message sizes are recorded.
    pub(crate) message_sizes: bool,
}

impl CallOptions {
    /// Returns `true` if an option needs the number of messages.
    pub(crate) fn counts_messages(&self) -> bool {
        self.message_counts || self.log.is_some()
    }
}

/// A request, as far as options need to know it until the end of its call.
#[derive(Default)]
pub(crate) struct RequestFacts {
    pub(crate) remote: Remote,
    /// Number of earlier attempts, by `grpc-previous-rpc-attempts` (gRFC A6).
    pub(crate) previous_attempts: Option<i64>,
}

const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// Returns the number of earlier attempts, if the caller sent it.
pub(crate) fn previous_attempts(headers: &HeaderMap) -> Option<i64> {
    let attempts = get_first(headers, &PREVIOUS_ATTEMPTS)?;
    let attempts = attempts.to_str().ok().filter(|attempts| !attempts.starts_with('+'))?;
    let attempts: u32 = attempts.parse().ok()?;
    (attempts > 0).then_some(i64::from(attempts))
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions").finish_non_exhaustive()
    }
}
