//! The state of one call, and how it is recorded from its start to the first of its ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, SpanBuilder, SpanKind, SpanRef, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tonic::Code;

use super::message_sizes::MessageSizes;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::clock::{self, Instant};
use crate::grpc::outcome::Outcome;
use crate::grpc::path::full_method_name;
use crate::grpc::side::Side;
use crate::grpc::timeout::Timeout;
use crate::instrumentation::InstrumentationRef;
use crate::method::Method;
use crate::method::registry::MethodRegistry;
use crate::metrics::{exemplars, legacy};
use crate::span::{self, SpanAttributes, StartedSpan};
use crate::{guard, limits, propagation, semconv};

/// The path of a call whose method is not known yet, and the registry that will know it.
#[derive(Debug)]
pub(crate) struct UnresolvedMethod {
    pub(crate) path: Box<str>,
    pub(crate) registry: Arc<MethodRegistry>,
}

impl UnresolvedMethod {
    /// Returns the method name in the path, cut to the length that is recorded.
    fn name(&self) -> &str {
        limits::cut(full_method_name(&self.path), limits::NAME)
    }
}

/// Parameters of a new call.
pub(crate) struct CallParams {
    /// The registry's fallback if the method is unresolved.
    pub(crate) method: &'static Method,
    pub(crate) unresolved: Option<UnresolvedMethod>,
    pub(crate) instrumentation: InstrumentationRef,
    /// The layer's header lists, if a layer starts the call.
    pub(crate) layer_headers: Option<&'static CapturedHeaders>,
    /// The handler's header lists, if a handler starts the call.
    pub(crate) handler_headers: Option<&'static CapturedHeaders>,
    pub(crate) message_sizes: Option<Arc<MessageSizes>>,
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
#[derive(Debug)]
pub struct Call {
    method: &'static Method,
    unresolved: Option<UnresolvedMethod>,
    instrumentation: InstrumentationRef,
    /// The context to attach while the call runs. `None` if the current context needs no change.
    context: Option<Context>,
    /// Whether the span in `context` is the call's own and is recording.
    is_recording: bool,
    started_at: Instant,
    /// The wall-clock time of `started_at`, if the call has a span.
    start_time: SystemTime,
    timeout: Option<Timeout>,
    layer_headers: Option<&'static CapturedHeaders>,
    /// Header lists of the handler that runs this call, if one has claimed it.
    handler_headers: Option<&'static CapturedHeaders>,
    message_sizes: Option<Arc<MessageSizes>>,
    /// The status that the handler returned, while the response is still being sent.
    pending_status: Option<(Code, String)>,
    ended: bool,
}

impl Call {
    #[inline]
    pub(super) fn new(params: CallParams, timeout: Option<Timeout>, started_at: Instant) -> Self {
        Call {
            method: params.method,
            unresolved: params.unresolved,
            instrumentation: params.instrumentation,
            context: None,
            is_recording: false,
            started_at,
            start_time: SystemTime::UNIX_EPOCH,
            timeout,
            layer_headers: params.layer_headers,
            handler_headers: params.handler_headers,
            message_sizes: params.message_sizes,
            pending_status: None,
            ended: false,
        }
    }

    #[inline]
    pub(super) fn add_active(&self) {
        self.method
            .with_metrics(self.instrumentation.instruments(), |metrics| metrics.add_active(1));
    }

    /// Attaches the call to `base`, the current context if `None`, without a span.
    #[inline]
    pub(crate) fn set_context(&mut self, base: Option<Context>) {
        self.context = base;
    }

    /// Starts the call's span.
    pub(crate) fn start_span(&mut self, parent: SpanParent, attributes: &dyn SpanAttributes) {
        self.start_time = clock::time_of_day();
        let base = parent.base.unwrap_or_else(Context::current);
        // Has room for the attributes that the end adds.
        let mut at_start = Vec::with_capacity(8);
        at_start.push(KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC));
        let mut builder = match &self.unresolved {
            None => {
                at_start.push(self.method.rpc_method());
                if self.instrumentation.instruments().legacy().is_some() {
                    at_start.extend(legacy::span_attributes(self.method.name()));
                }
                SpanBuilder::from_name(self.method.span_name())
            }
            // `rpc.method` is added when the method is resolved, or at the end.
            Some(unresolved) => SpanBuilder::from_name(unresolved.name().to_owned()),
        };
        attributes.at_start(&mut at_start);
        builder.span_kind = Some(match self.side() {
            Side::Server => SpanKind::Server,
            Side::Client => SpanKind::Client,
        });
        builder.start_time = Some(self.start_time);
        builder.attributes = Some(at_start);
        builder.links = parent.link.map(|link| vec![link]);
        let parent = parent.parent.as_ref().unwrap_or(&base);
        self.context = Some(match self.instrumentation.start_span(parent, builder, attributes) {
            Some(StartedSpan::Recording(span)) => {
                self.is_recording = true;
                propagation::with_recording_span(&base, parent, span)
            }
            Some(StartedSpan::NonRecording(span_context)) => propagation::with_non_recording_span(&base, span_context),
            None => base,
        });
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

    #[inline]
    pub(crate) fn method(&self) -> &'static Method {
        self.method
    }

    /// Returns the path of the request, if it is known.
    pub(crate) fn path(&self) -> Option<&str> {
        match &self.unresolved {
            Some(unresolved) => Some(&unresolved.path),
            None => self.method.path(),
        }
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

    #[inline]
    pub(crate) fn message_sizes(&self) -> Option<&Arc<MessageSizes>> {
        self.message_sizes.as_ref()
    }

    /// Lets a handler claim a call that a layer started.
    ///
    /// Returns `false` if no layer started it, or if another handler has claimed it.
    pub(crate) fn attach_handler(&mut self, headers: &'static CapturedHeaders) -> bool {
        let is_unclaimed = self.layer_headers.is_some() && self.handler_headers.is_none();
        if is_unclaimed {
            self.handler_headers = Some(headers);
        }
        is_unclaimed
    }

    /// Returns `true` while the call's method is not known.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.unresolved.is_some()
    }

    /// Resolves the call's path to `method`, for this call and all later ones with this path.
    pub(crate) fn resolve_method(&mut self, method: &'static Method) {
        if let Some(unresolved) = self.unresolved.take() {
            unresolved.registry.alias(&unresolved.path, method);
            self.set_method(method, unresolved.name());
        }
    }

    /// Resolves the call's path to the method that it names.
    pub(crate) fn resolve_from_path(&mut self) {
        if let Some(unresolved) = &self.unresolved
            && let Some(method) = unresolved.registry.register(&unresolved.path)
        {
            self.resolve_method(method);
        }
    }

    fn set_method(&mut self, method: &'static Method, span_name: &str) {
        let instruments = self.instrumentation.instruments();
        self.method.with_metrics(instruments, |metrics| metrics.add_active(-1));
        method.with_metrics(instruments, |metrics| metrics.add_active(1));
        if let Some(sizes) = &self.message_sizes {
            sizes.set_method(method);
        }
        self.method = method;
        let name = self.method.name();
        self.set_attributes(|| [self.method.rpc_method()]);
        if self.instrumentation.instruments().legacy().is_some() {
            self.set_attributes(|| legacy::span_attributes(name));
        }
        if let Some(context) = self.recording_context()
            && name != span_name
        {
            guard::TRACER.run(|| context.span().update_name(name));
        }
    }

    /// Adds attributes to the call's span, if it is recording.
    pub(crate) fn set_attributes<I>(&self, attributes: impl FnOnce() -> I)
    where
        I: IntoIterator<Item = KeyValue>,
    {
        if let Some(context) = self.recording_context() {
            span::set_attributes(context, attributes);
        }
    }

    /// Sets the status that the call ends with unless its end says otherwise. The first one counts.
    pub(crate) fn set_pending_status(&mut self, code: Code, message: &str) {
        self.pending_status.get_or_insert_with(|| (code, message.to_owned()));
    }

    pub(crate) fn has_pending_status(&self) -> bool {
        self.pending_status.is_some()
    }

    pub(crate) fn take_pending_status(&mut self) -> Option<(Code, String)> {
        self.pending_status.take()
    }

    /// Ends the call: its span, its duration, its place among the active requests.
    ///
    /// The first end counts; later ones do nothing.
    pub(crate) fn end(&mut self, outcome: Outcome<'_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let elapsed = self.started_at.elapsed();
        guard::METER.run(|| self.record_metrics(elapsed.as_secs_f64(), outcome));
        if exemplars::are_enabled() {
            self.record_exemplar(elapsed, outcome);
        }
        if let Some(context) = self.recording_context() {
            guard::TRACER.run(|| self.end_span(&context.span(), elapsed, outcome));
        }
    }

    #[inline]
    fn record_metrics(&self, seconds: f64, outcome: Outcome<'_>) {
        let instruments = self.instrumentation.instruments();
        self.method.with_metrics(instruments, |metrics| {
            metrics.add_active(-1);
            metrics.record_duration(seconds, outcome);
        });
        if let Some(legacy) = instruments.legacy() {
            legacy.record_duration(self.side(), self.method.name(), seconds, outcome);
        }
        if let Some(sizes) = &self.message_sizes {
            sizes.end(self.method, outcome);
        }
    }

    #[inline(never)]
    fn record_exemplar(&self, elapsed: Duration, outcome: Outcome<'_>) {
        // Without a start time there is no span of this call.
        let Some(context) = self
            .context
            .as_ref()
            .filter(|_| self.start_time > SystemTime::UNIX_EPOCH)
        else {
            return;
        };
        let instruments = self.instrumentation.instruments();
        self.method.exemplars().record(
            outcome,
            instruments.boundaries(),
            context.span().span_context(),
            self.start_time,
            elapsed,
            || self.method.duration_series(instruments, outcome),
        );
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns `true` if the caller's deadline has passed.
    pub(crate) fn deadline_exceeded(&self) -> bool {
        self.timeout
            .as_ref()
            .is_some_and(|timeout| timeout.exceeded(self.side()))
    }

    #[inline]
    fn end_span(&self, span: &SpanRef<'_>, elapsed: Duration, outcome: Outcome<'_>) {
        let has_legacy_names = self.instrumentation.instruments().legacy().is_some();
        if let Some(unresolved) = &self.unresolved {
            span.update_name(self.method.span_name());
            span.set_attribute(self.method.rpc_method());
            let original = unresolved.name().to_owned();
            span.set_attribute(KeyValue::new(semconv::RPC_METHOD_ORIGINAL, original));
            if has_legacy_names {
                span.set_attributes(legacy::span_attributes(self.method.name()));
            }
        }
        if has_legacy_names {
            span.set_attribute(legacy::status_code(outcome));
        }
        span.set_attribute(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_str()));
        if let Some(error_type) = outcome.error_type(self.side()) {
            span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, error_type));
        }
        if let Some(status) = outcome.span_status(self.side()) {
            span.set_status(status);
        }
        // Computed from the monotonic clock, so that the span is exactly as long as the duration.
        span.end_with_timestamp(self.start_time + elapsed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Some((code, message)) = self.pending_status.take() {
            self.end(Outcome::new(code, &message));
        } else if self.deadline_exceeded() {
            self.end(Outcome::DEADLINE_EXCEEDED);
        } else {
            self.end(Outcome::CANCELLED);
        }
    }
}
