//! How a request that reaches a handler relates to the call that its thread serves.

use crate::attributes::captured_headers::CapturedHeaders;
use crate::rpc::active_call::ActiveCall;
use crate::server::request::IncomingRequest;

/// How an incoming request relates to the call that this thread serves.
pub(super) enum Incoming {
    /// A request whose call has not started.
    NewCall,
    /// A request whose call a layer has started.
    LayerCall { is_unresolved: bool },
    /// A request whose call a layer has deferred, and starts now.
    Deferred,
    /// Part of a call that another handler serves, or that is not recorded.
    Nested,
    /// An OTLP export of this host.
    LocalExport,
}

impl Incoming {
    /// Tells how a request relates to the call that this thread serves, and claims that call if a
    /// layer started it for this request. `captured` has the handler's header lists.
    pub(super) fn classify_and_claim(
        request: &IncomingRequest<'_>,
        current: &mut Option<ActiveCall>,
        captured: impl FnOnce() -> &'static CapturedHeaders,
    ) -> Self {
        match current {
            None => match request.path() {
                Some(path) if request.is_local_otlp_export(path) => Incoming::LocalExport,
                _ => Incoming::NewCall,
            },
            Some(ActiveCall::Recorded(call)) if call.is_unclaimed() => {
                // The call of a client's request without `content-type` was deferred.
                if !request.came_from_client() && !call.started_late() {
                    // Called directly, by a service that is not annotated.
                    Incoming::Nested
                } else if request.came_through(call.origin()) {
                    call.claim(captured(), request.origin());
                    Incoming::LayerCall {
                        is_unresolved: call.is_unresolved(),
                    }
                } else {
                    Incoming::NewCall
                }
            }
            Some(ActiveCall::Recorded(call)) => nested_if(request.is_handed_on(call.origin())),
            Some(ActiveCall::Unrecorded(call)) if call.is_unclaimed() => {
                if !request.came_from_client() {
                    Incoming::Nested
                } else if request.came_through(call.origin()) {
                    call.claim(request.origin());
                    Incoming::Nested
                } else {
                    Incoming::NewCall
                }
            }
            Some(ActiveCall::Unrecorded(call)) => nested_if(request.is_handed_on(call.origin())),
            Some(ActiveCall::Deferred(call)) => {
                if request.came_through(call.origin()) && !request.is_bare() {
                    Incoming::Deferred
                } else {
                    Incoming::NewCall
                }
            }
        }
    }
}

fn nested_if(is_nested: bool) -> Incoming {
    if is_nested { Incoming::Nested } else { Incoming::NewCall }
}
