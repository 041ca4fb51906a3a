//! The owner's view of a call: recorded, not recorded, or not started yet.

use std::fmt;

use opentelemetry::Context;

use super::call::Call;
use super::origin::RequestOrigin;
use super::pool::PooledCall;

/// A call that has started and not ended.
#[derive(Debug)]
pub enum ActiveCall {
    Recorded(PooledCall),
    /// A call that is not recorded: a filter rejected it, or it is an OTLP export of this host.
    Unrecorded(Box<UnrecordedCall>),
    /// A request whose call starts later, if it is one.
    Deferred(Box<DeferredCall>),
}

/// A call that has no span and no metrics, but a context to run in.
#[derive(Debug)]
pub struct UnrecordedCall {
    context: Context,
    origin: RequestOrigin,
    /// Whether a handler serves it.
    is_claimed: bool,
}

impl UnrecordedCall {
    /// Returns `true` if no handler has claimed it.
    pub(crate) fn is_unclaimed(&self) -> bool {
        !self.is_claimed
    }

    /// Lets a handler claim it for its request.
    pub(crate) fn claim(&mut self, origin: RequestOrigin) {
        self.is_claimed = true;
        self.origin = origin;
    }

    pub(crate) fn origin(&self) -> RequestOrigin {
        self.origin
    }
}

/// A request whose call starts later: once it turns out to be gRPC, or once it is known whether an
/// inner layer is stricter.
pub struct DeferredCall {
    origin: RequestOrigin,
    /// Whether the request is gRPC, so that it has a call however it ends.
    is_grpc: bool,
    start: Box<dyn FnOnce(LateStart) -> ActiveCall + Send + Sync>,
}

/// How far the request of a deferred call has come when the call starts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LateStart {
    /// Whether it has reached a service: a handler, an inner layer, or one that has answered.
    pub(crate) has_service: bool,
    /// The decision of an inner layer that it has reached.
    pub(crate) inner_layer: Option<InnerDecision>,
}

/// The decision of an inner layer on a call that an outer one has started or deferred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InnerDecision {
    /// Whether it distrusts the caller.
    pub(crate) is_public: bool,
    /// Whether its filters reject the call.
    pub(crate) is_filtered: bool,
}

impl DeferredCall {
    pub(crate) fn origin(&self) -> RequestOrigin {
        self.origin
    }

    pub(crate) fn is_grpc(&self) -> bool {
        self.is_grpc
    }
}

impl fmt::Debug for DeferredCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeferredCall").finish_non_exhaustive()
    }
}

impl ActiveCall {
    /// A call that a filter rejected. The trace of a trusted caller continues through it.
    pub(crate) fn filtered(origin: RequestOrigin, context: Context) -> Self {
        ActiveCall::Unrecorded(Box::new(UnrecordedCall {
            context,
            origin,
            is_claimed: false,
        }))
    }

    /// An OTLP export of this host. Recording it would produce the next export, so telemetry is
    /// suppressed.
    pub(crate) fn local_export(origin: RequestOrigin) -> Self {
        ActiveCall::filtered(origin, Context::current().with_telemetry_suppressed())
    }

    /// A request whose call starts later. `start` makes it.
    pub(crate) fn deferred(
        origin: RequestOrigin,
        is_grpc: bool,
        start: impl FnOnce(LateStart) -> ActiveCall + Send + Sync + 'static,
    ) -> Self {
        ActiveCall::Deferred(Box::new(DeferredCall {
            origin,
            is_grpc,
            start: Box::new(start),
        }))
    }

    /// Marks a call that is not recorded as one that a handler serves.
    pub(crate) fn claimed(mut self) -> Self {
        if let ActiveCall::Unrecorded(unrecorded) = &mut self {
            unrecorded.is_claimed = true;
        }
        self
    }

    /// Starts the call if it is deferred.
    pub(crate) fn started(self, late: LateStart) -> Self {
        match self {
            ActiveCall::Deferred(deferred) => (deferred.start)(late),
            started => started,
        }
    }

    /// Returns `true` if a layer has started the call, or deferred it, and no handler claimed it.
    pub(super) fn is_unclaimed_with(&self, client_mark: usize) -> bool {
        match self {
            ActiveCall::Recorded(call) => call.is_unclaimed() && call.origin().client_mark == client_mark,
            ActiveCall::Unrecorded(call) => call.is_unclaimed() && call.origin.client_mark == client_mark,
            ActiveCall::Deferred(call) => call.origin.client_mark == client_mark,
        }
    }

    /// Returns an address that the call keeps as long as it lives.
    pub(super) fn address(&self) -> usize {
        match self {
            ActiveCall::Recorded(call) => std::ptr::from_ref::<Call>(call).addr(),
            ActiveCall::Unrecorded(call) => std::ptr::from_ref(&**call).addr(),
            ActiveCall::Deferred(call) => std::ptr::from_ref(&**call).addr(),
        }
    }

    /// Returns the call, if it is recorded.
    #[inline]
    pub(crate) fn recorded(&mut self) -> Option<&mut Call> {
        match self {
            ActiveCall::Recorded(call) => Some(call),
            ActiveCall::Unrecorded(_) | ActiveCall::Deferred(_) => None,
        }
    }

    /// Returns the context to attach while the call runs, if it differs from the current one.
    #[inline]
    pub(crate) fn context(&self) -> Option<&Context> {
        match self {
            ActiveCall::Recorded(call) => call.context(),
            ActiveCall::Unrecorded(unrecorded) => Some(&unrecorded.context),
            ActiveCall::Deferred(_) => None,
        }
    }

    /// Returns the `tracing` span to enter while the call runs, if it has one.
    #[inline]
    pub(crate) fn tracing_span(&self) -> Option<&tracing::Span> {
        match self {
            ActiveCall::Recorded(call) => call.tracing_span(),
            ActiveCall::Unrecorded(_) | ActiveCall::Deferred(_) => None,
        }
    }
}

/// Starts a call that nothing has started before its end, if it is gRPC.
#[cold]
pub(crate) fn start_at_end(call: &mut Option<ActiveCall>, late: LateStart) {
    *call = call.take().and_then(|call| match &call {
        ActiveCall::Deferred(deferred) if !deferred.is_grpc() => None,
        _ => Some(call.started(late)),
    });
}
