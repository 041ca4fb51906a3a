//! The state of one call, and how it is recorded from its start to the first of its ends.

mod attach;
mod end;
mod extras;
mod method;
mod observed;
mod start;
pub(crate) mod tracing_span;

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::Link;
use tonic::Code;

use super::extras::Extras;
use super::origin::RequestOrigin;
use super::request_end::RequestEnd;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::clock::Instant;
use crate::grpc::deadline::Deadline;
use crate::grpc::progress::OfferedEncodings;
use crate::grpc::side::Side;
use crate::instrumentation::InstrumentationRef;
use crate::method::Method;
use crate::method::registry::MethodRegistry;
use crate::metrics::series::MethodMetrics;
use crate::span::{self, MakeAttributes};

/// The path of a call whose method is not known yet, and the registry that will know it.
#[derive(Debug)]
pub(crate) struct UnresolvedMethod {
    path: Box<str>,
    registry: Arc<MethodRegistry>,
    /// Whether the response looks like one of a service, which only answers for methods it has.
    expects_answer: bool,
}

/// Parameters of a new call.
pub(crate) struct CallParams {
    /// The registry's fallback if the method is unresolved.
    pub(crate) method: &'static Method,
    pub(crate) unresolved: Option<Box<UnresolvedMethod>>,
    pub(crate) instrumentation: InstrumentationRef,
    /// The layer's header lists, if a layer starts the call.
    pub(crate) layer_headers: Option<&'static CapturedHeaders>,
    /// The handler's header lists, if a handler starts the call.
    pub(crate) handler_headers: Option<&'static CapturedHeaders>,
    /// Whether [`Call::add_active`] follows, once the options of the call are set.
    pub(crate) adds_active_later: bool,
    pub(crate) origin: RequestOrigin,
    /// The time of arrival, if the call starts later.
    pub(crate) arrived: Option<Instant>,
}

/// The place where a new span is attached.
#[derive(Default)]
pub(crate) struct SpanParent {
    /// The context that the span is put into. The current context if `None`.
    pub(crate) base: Option<Context>,
    /// The context with the parent span, if that is not `base`.
    pub(crate) parent: Option<Context>,
    pub(crate) link: Option<Link>,
}

/// The span, the clock and the place among the active requests of one call.
///
/// A drop guard: it moves from the future of the response into its body or stream. If it is dropped
/// before it was ended, the caller has gone away.
// Each is a fact of its own, and true in any combination.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug)]
pub struct Call {
    method: &'static Method,
    /// In a box, since hardly any call has one, and open streams keep the room for it.
    unresolved: Option<Box<UnresolvedMethod>>,
    instrumentation: InstrumentationRef,
    /// The context to attach while the call runs. `None` if the current context needs no change.
    context: Option<Context>,
    /// Whether the span in `context` is the call's own and is recording.
    is_recording: bool,
    started_at: Instant,
    /// Whether `started_at` was before the call was made.
    started_late: bool,
    /// The wall-clock time of `started_at`, if the call has a span.
    start_time: SystemTime,
    deadline: Option<Deadline>,
    layer_headers: Option<&'static CapturedHeaders>,
    /// Header lists of the handler that runs this call, if one has claimed it.
    handler_headers: Option<&'static CapturedHeaders>,
    extras: Extras,
    /// The time series with the user's own attributes on metrics, if the call has such.
    own_metrics: Option<Arc<MethodMetrics>>,
    origin: RequestOrigin,
    /// How a server's request ends, if that is watched.
    request_end: Option<Arc<RequestEnd>>,
    offered_encodings: OfferedEncodings,
    /// The status that the handler returned, while the response is still being sent.
    pending_status: Option<(Code, Box<str>)>,
    ended: bool,
    /// Whether a panic of its handler has been logged.
    panicked: bool,
}

impl Call {
    #[inline]
    pub(super) fn new(params: CallParams, deadline: Option<Deadline>, started_at: Instant) -> Self {
        Call {
            method: params.method,
            unresolved: params.unresolved,
            instrumentation: params.instrumentation,
            context: None,
            is_recording: false,
            started_at,
            started_late: params.arrived.is_some(),
            start_time: SystemTime::UNIX_EPOCH,
            deadline,
            layer_headers: params.layer_headers,
            handler_headers: params.handler_headers,
            extras: Extras::default(),
            own_metrics: None,
            origin: params.origin,
            request_end: None,
            offered_encodings: OfferedEncodings::default(),
            pending_status: None,
            ended: false,
            panicked: false,
        }
    }

    /// Counts the call among the active requests, at its start.
    #[inline]
    pub(crate) fn add_active(&self) {
        self.with_metrics(|metrics| metrics.add_active(1));
    }

    /// Attaches the call to `base`, the current context if `None`, without a span.
    #[inline]
    pub(crate) fn set_context(&mut self, base: Option<Context>) {
        self.context = base;
    }

    #[inline]
    pub(crate) fn side(&self) -> Side {
        self.method.side()
    }

    /// Returns the context to attach while the call runs, if it differs from the current one.
    #[inline]
    pub(crate) fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Returns the context of the call's span, if that span is recording.
    #[inline]
    pub(crate) fn recording_context(&self) -> Option<&Context> {
        self.context.as_ref().filter(|_| self.is_recording)
    }

    #[inline]
    pub(crate) fn instrumentation(&self) -> &InstrumentationRef {
        &self.instrumentation
    }

    /// Returns `true` if the call started later than its request arrived: it was deferred, started
    /// anew, or waited for its channel.
    pub(crate) fn started_late(&self) -> bool {
        self.started_late
    }

    /// Returns the request of the call, as far as it identifies the call.
    #[inline]
    pub(crate) fn origin(&self) -> RequestOrigin {
        self.origin
    }

    /// Returns the header lists of the layer that started the call, if a layer did.
    #[inline]
    pub(crate) fn layer_headers(&self) -> Option<&'static CapturedHeaders> {
        self.layer_headers
    }

    /// Returns the header lists of the handler that runs the call, if one has claimed it.
    #[inline]
    pub(crate) fn handler_headers(&self) -> Option<&'static CapturedHeaders> {
        self.handler_headers
    }

    /// Returns `true` if a layer started the call, and no handler has claimed it.
    #[inline]
    pub(crate) fn is_unclaimed(&self) -> bool {
        self.layer_headers.is_some() && self.handler_headers.is_none()
    }

    /// Lets a handler claim an [unclaimed](Self::is_unclaimed) call for its request.
    #[inline]
    pub(crate) fn claim(&mut self, headers: &'static CapturedHeaders, origin: RequestOrigin) {
        self.handler_headers = Some(headers);
        self.origin = origin;
    }

    /// Adds attributes to the call's span, if it is recording.
    pub(crate) fn set_attributes(&self, attributes: MakeAttributes<'_>) {
        if let Some(context) = self.recording_context() {
            span::set_attributes(context, attributes);
        }
    }

    /// Sets the status that the call ends with unless its end says otherwise. The first one counts.
    pub(crate) fn set_pending_status(&mut self, code: Code, message: &str) {
        self.pending_status.get_or_insert_with(|| (code, Box::from(message)));
    }

    pub(crate) fn has_pending_status(&self) -> bool {
        self.pending_status.is_some()
    }

    pub(crate) fn take_pending_status(&mut self) -> Option<(Code, Box<str>)> {
        self.pending_status.take()
    }

    #[inline]
    pub(crate) fn started_at(&self) -> Instant {
        self.started_at
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Marks a call whose handler has panicked: the panic is logged once.
    pub(crate) fn set_panicked(&mut self) {
        self.panicked = true;
    }

    pub(crate) fn has_panicked(&self) -> bool {
        self.panicked
    }

    /// Watches the request's body for an early end.
    pub(crate) fn watch_request(&mut self, counts_messages: bool) -> Arc<RequestEnd> {
        let end = if counts_messages && self.extras.counts_messages() {
            RequestEnd::take_counting(self.extras.request_counts(self.side()))
        } else {
            RequestEnd::take()
        };
        Arc::clone(self.request_end.insert(end))
    }

    /// Takes the end of a request's body that has been watched before the call started.
    pub(crate) fn set_request_end(&mut self, end: Arc<RequestEnd>) {
        if let Some((counts, direction)) = self.extras.request_counts(self.side()) {
            end.set_counts(counts, direction);
        }
        self.request_end = Some(end);
    }

    /// Returns `true` if a server's request ended before it was whole: its caller has gone away.
    #[inline]
    pub(crate) fn request_is_lost(&self) -> bool {
        let end = self.request_end.as_ref();
        end.is_some_and(|end| end.is_lost() && self.side() == Side::Server)
    }

    /// Sets the encodings that the client accepts for its response.
    #[inline]
    pub(crate) fn set_offered_encodings(&mut self, offered: OfferedEncodings) {
        self.offered_encodings = offered;
    }

    #[inline]
    pub(crate) fn offered_encodings(&self) -> OfferedEncodings {
        self.offered_encodings
    }

    /// Returns `true` if the caller's deadline has passed.
    pub(crate) fn deadline_exceeded(&self) -> bool {
        self.deadline.as_ref().is_some_and(Deadline::has_passed)
    }
}
