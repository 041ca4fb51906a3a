//! What the headers of a request say to every RPC, found in one pass over them: to look each up by its name would cost several times as much.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::grpc::timeout;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The headers of a request that every RPC looks for. Of several lines, the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KnownHeaders<'a> {
    pub(crate) traceparent: Option<&'a HeaderValue>,
    pub(crate) grpc_timeout: Option<&'a HeaderValue>,
    pub(crate) has_tracestate: bool,
    pub(crate) has_baggage: bool,
}

impl<'a> KnownHeaders<'a> {
    #[inline]
    pub(crate) fn scan(headers: &'a HeaderMap) -> Self {
        let mut found = KnownHeaders::default();
        for (name, value) in headers {
            if *name == TRACEPARENT {
                found.traceparent.get_or_insert(value);
            } else if *name == GRPC_TIMEOUT {
                found.grpc_timeout.get_or_insert(value);
            } else if *name == TRACESTATE {
                found.has_tracestate = true;
            } else if *name == BAGGAGE {
                found.has_baggage = true;
            }
        }
        found
    }

    /// How much time the caller gives, where it says so.
    #[inline]
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.grpc_timeout.and_then(timeout::parse_header)
    }
}

/// How many headers are compared with a name in the time that it takes to look that up.
const LINEAR_SCAN_MAX: usize = 8;

/// The first line of the header with this name.
#[inline]
pub(crate) fn get_first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    if headers.len() > LINEAR_SCAN_MAX {
        return headers.get(name);
    }
    let mut lines = headers.iter();
    lines.find(|(of, _)| *of == name).map(|(_, line)| line)
}
