//! What the headers of a request say to every RPC, found in one pass over them: to look each up by its name would cost several times as much.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a request that every RPC looks for. Of several lines, the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found<'a> {
    pub(crate) traceparent: Option<&'a HeaderValue>,
    pub(crate) grpc_timeout: Option<&'a HeaderValue>,
    pub(crate) has_tracestate: bool,
    pub(crate) has_baggage: bool,
}

impl<'a> Found<'a> {
    #[inline]
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut found = Found::default();
        for (name, value) in headers {
            match name.as_str() {
                "traceparent" => _ = found.traceparent.get_or_insert(value),
                "grpc-timeout" => _ = found.grpc_timeout.get_or_insert(value),
                "tracestate" => found.has_tracestate = true,
                "baggage" => found.has_baggage = true,
                _ => {}
            }
        }
        found
    }
}

/// How many headers are compared with a name in the time that it takes to look that up.
const FEW: usize = 8;

/// The first line of the header with this name.
#[inline]
pub(crate) fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    if headers.len() > FEW {
        return headers.get(name);
    }
    let mut lines = headers.iter();
    lines.find(|(of, _)| *of == name).map(|(_, line)| line)
}
