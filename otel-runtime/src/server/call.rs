//! One RPC, from its start to whichever of its ends comes.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, Uri};
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tonic::Extensions;

use super::address;
use super::method::Method;
use super::panic::Panic;
use crate::instruments::ServerInstruments;
use crate::status::Outcome;
use crate::{deadline, propagation, semconv};

/// The span, the clock and the place in active requests of one RPC.
///
/// It is a drop guard: it goes from the method's future into the response stream, and wherever it is dropped without having been told how the RPC ended,
/// the caller went away.
#[derive(Debug)]
pub(crate) struct Call {
    method: &'static Method,
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
    pub(super) fn start(
        method: &'static Method,
        headers: &HeaderMap,
        uri: Option<&Uri>,
        socket: Option<SocketAddr>,
        extensions: &Extensions,
    ) -> Self {
        let started = Instant::now();
        let started_at = SystemTime::now();
        let instruments = ServerInstruments::global();
        let parent = propagation::extract(headers);

        let span = instruments.start_span(&parent, || {
            // Given at the start, so that a sampler sees them. There is room for what the end adds.
            let mut attributes = Vec::with_capacity(8);
            attributes.extend(method.span_attributes());
            attributes.extend(address::server(uri));
            let mut builder = SpanBuilder::from_name(method.name())
                .with_kind(SpanKind::Server)
                .with_start_time(started_at);
            builder.attributes = Some(attributes);
            builder
        });
        let has_span = span.is_some();
        let context = match span {
            Some(mut span) => {
                if span.is_recording() {
                    span.set_attributes(address::peer(socket, extensions));
                }
                parent.with_span(span)
            }
            None => parent,
        };

        method.count_active(instruments, 1);
        Call {
            method,
            context,
            has_span,
            started,
            started_at,
            timeout: deadline::grpc_timeout(headers),
            ended: false,
        }
    }

    /// Runs the service's own code inside the RPC. A panic ends the RPC and goes on.
    pub(super) fn enter<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let (mut run, mut value) = (Some(run), None);
        self.enter_once(&mut || value = run.take().map(|run| run()));
        value.expect("it has run")
    }

    /// [`enter`](Self::enter), compiled once and not again for the handler of each method.
    fn enter_once(&mut self, run: &mut dyn FnMut()) {
        let result = {
            let _current = self.context.clone().attach();
            Panic::catch(run).inspect_err(Panic::log)
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
        let instruments = ServerInstruments::global();
        self.method.count_active(instruments, -1);
        self.method.record_duration(instruments, elapsed.as_secs_f64(), outcome);
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
