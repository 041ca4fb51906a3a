//! One RPC, from its start to whichever of its ends comes.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use opentelemetry::trace::{Link, Span, SpanBuilder, SpanContext, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tonic::Status;

use super::address;
use super::arrival::Arrival;
use super::method::Method;
use super::panic::Panic;
use super::rpc::Rpc;
use crate::instrumentation::Chosen;
use crate::status::Outcome;
use crate::{deadline, semconv};

thread_local! {
    /// The method whose RPC this thread is running.
    static RUNNING: Cell<Option<&'static Method>> = const { Cell::new(None) };
}

/// The span, the clock and the place in active requests of one RPC.
///
/// It is a drop guard: it goes from the method's future into the response stream, and wherever it is dropped without having been told how the RPC ended,
/// the caller went away.
#[derive(Debug)]
pub(crate) struct Call {
    method: &'static Method,
    instrumentation: Chosen,
    /// Current while the handler and the response stream run.
    context: Context,
    /// Whether `context` has a span of ours. It has not where no SDK is installed: the span in it is then another's, and not ours to end.
    has_span: bool,
    started: Instant,
    started_at: SystemTime,
    timeout: Option<Duration>,
    ended: bool,
}

impl Call {
    /// The method whose RPC this thread is running, if it runs one.
    pub(super) fn running() -> Option<&'static Method> {
        RUNNING.get()
    }

    pub(super) fn start(
        rpc: &'static Rpc,
        method: &'static Method,
        instrumentation: Chosen,
        request: &Arrival<'_>,
    ) -> Self {
        let started = Instant::now();
        let started_at = SystemTime::now();
        let mut caller = instrumentation.extract(request.headers);
        let stranger = rpc.public_endpoint.then(|| Stranger::new(&caller));
        let (parent, link) = match &stranger {
            Some(stranger) => (&stranger.root, stranger.link.clone()),
            None => (&caller, None),
        };

        let span = instrumentation.start_span(parent, || {
            // Given at the start, so that a sampler sees them. There is room for what the end adds.
            let mut attributes = Vec::with_capacity(8);
            attributes.extend(method.span_attributes());
            attributes.extend(address::server(request.uri));
            let mut builder = SpanBuilder::from_name(method.name())
                .with_kind(SpanKind::Server)
                .with_start_time(started_at);
            builder.attributes = Some(attributes);
            builder.links = link.map(|link| vec![link]);
            builder
        });
        let has_span = span.is_some();
        match span {
            Some(mut span) => {
                if span.is_recording() {
                    span.set_attributes(address::peer(request.socket, request.extensions));
                    span.set_attributes(method.captured.request_headers.attributes(request.headers));
                }
                caller = caller.with_span(span);
            }
            // What has no span of ours must not go on with the stranger's.
            None if stranger.is_some() => caller = caller.with_remote_span_context(SpanContext::NONE),
            None => {}
        }

        method.count_active(&instrumentation, 1);
        Call {
            method,
            instrumentation,
            context: caller,
            has_span,
            started,
            started_at,
            timeout: deadline::grpc_timeout(request.headers),
            ended: false,
        }
    }

    /// Adds attributes to the span, if it records. What goes wrong in making them is no matter of the RPC's.
    pub(super) fn set_attributes<I>(&self, make: impl FnOnce() -> I)
    where
        I: IntoIterator<Item = KeyValue>,
    {
        if self.has_span {
            set_attributes(&self.context, make);
        }
    }

    /// Takes up the headers of the response.
    pub(super) fn respond(&self, headers: &HeaderMap) {
        let names = &self.method.captured.response_headers;
        if !names.is_empty() {
            self.set_attributes(|| names.attributes(headers));
        }
    }

    /// Ends the RPC with a status that the service returned.
    pub(super) fn fail(&mut self, status: &Status) {
        let names = &self.method.captured.response_trailers;
        if !names.is_empty() && !self.ended {
            self.set_attributes(|| names.attributes(status.metadata().as_ref()));
        }
        self.end(Outcome::returned(status));
    }

    /// Runs the service's own code inside the RPC. A panic ends the RPC and goes on.
    ///
    /// Not generic, so that it is compiled once and not again for the handler of each method.
    pub(super) fn enter(&mut self, run: &mut dyn FnMut()) {
        let result = {
            let _current = self.context.clone().attach();
            let outer = RUNNING.replace(Some(self.method));
            let result = Panic::catch(run);
            RUNNING.set(outer);
            result.inspect_err(Panic::log)
        };
        if let Err(panic) = result {
            self.end(Outcome::panicked(panic.message()));
            panic.resume()
        }
    }

    /// Closes the RPC's books. The first end counts; an RPC that has ended stays as it is.
    pub(super) fn end(&mut self, outcome: Outcome<'_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let elapsed = self.started.elapsed();
        self.method.count_active(&self.instrumentation, -1);
        self.method
            .record_duration(&self.instrumentation, elapsed.as_secs_f64(), outcome);
        if self.has_span {
            self.end_span(elapsed, outcome);
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    fn end_span(&self, elapsed: Duration, outcome: Outcome<'_>) {
        let span = self.context.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_name()));
            if let Some(error) = outcome.server_error_type() {
                span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, error));
            }
            if let Some(status) = outcome.server_span_status() {
                span.set_status(status);
            }
        }
        // The clock of the duration, so that the span is exactly as long as the duration says.
        span.end_with_timestamp(self.started_at + elapsed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.ended {
            let deadline_has_passed = self
                .timeout
                .is_some_and(|timeout| deadline::has_passed(timeout, self.started.elapsed()));
            self.end(if deadline_has_passed {
                Outcome::DEADLINE_EXCEEDED
            } else {
                Outcome::CANCELLED
            });
        }
    }
}

/// Adds attributes to the span in `context`, if it records.
pub(super) fn set_attributes<I>(context: &Context, make: impl FnOnce() -> I)
where
    I: IntoIterator<Item = KeyValue>,
{
    let span = context.span();
    if span.is_recording()
        && let Ok(attributes) = Panic::catch(|| make().into_iter().collect::<Vec<_>>())
    {
        span.set_attributes(attributes);
    }
}

/// A caller who is not trusted.
struct Stranger {
    /// Instead of the caller's context, the parent of the span. (A context with an invalid span would not do: samplers take it for a parent that is not sampled.)
    root: Context,
    /// To the caller's span, if there is one.
    link: Option<Link>,
}

impl Stranger {
    fn new(caller: &Context) -> Self {
        let root = Context::new();
        let span = caller.span().span_context().clone();
        Stranger {
            root: if caller.is_telemetry_suppressed() {
                root.with_telemetry_suppressed()
            } else {
                root
            },
            link: span.is_valid().then(|| Link::with_context(span)),
        }
    }
}
