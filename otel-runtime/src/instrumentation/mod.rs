//! The tracer, the instruments and the propagator that calls are recorded with.

mod builder;

pub use builder::InstrumentationBuilder;

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, TraceContextExt, Tracer};

use crate::grpc::request_headers::KnownHeaders;
use crate::metrics::instruments::Instruments;
use crate::propagation::known::Known;
use crate::propagation::{self, Headers, Limited};
use crate::span::StartedSpan;
use crate::{guard, versions};

/// The providers and the propagator that calls are recorded with, instead of the global ones.
///
/// For tests, and for programs with more than one OpenTelemetry set-up. A service uses one with the
/// argument `instrumentation` of [`#[traced_service]`](crate::traced_service), a layer with
/// [`ServerLayer::instrumentation`](crate::ServerLayer::instrumentation).
///
/// Building one creates instruments, so build it once per service and not per call. Clones are
/// cheap and share the instruments.
///
/// # Example
///
/// ```
/// use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
/// use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
/// use otel_runtime::{Instrumentation, traced_service};
/// use tonic::{Request, Response, Status};
///
/// struct MyGreeter {
///     instrumentation: Instrumentation,
/// }
///
/// #[traced_service(instrumentation = self.instrumentation)]
/// #[tonic::async_trait]
/// impl Greeter for MyGreeter {
///     async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
///         let message = format!("Hello, {}!", request.get_ref().name);
///         Ok(Response::new(HelloReply { message }))
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Status> {
/// let spans = InMemorySpanExporter::default();
/// let tracers = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
/// let greeter = MyGreeter { instrumentation: Instrumentation::builder().tracer_provider(&tracers).build() };
/// greeter.say_hello(Request::new(HelloRequest { name: "Ada".into() })).await?;
/// assert_eq!(spans.get_finished_spans().unwrap().len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Instrumentation(Arc<Inner>);

struct Inner {
    /// The global propagator if `None`, looked up for each call.
    propagator: Option<OwnPropagator>,
    tracer: BoxedTracer,
    /// Whether the tracer has turned out to be a no-op. A tracer stays what it is: it belongs to
    /// the provider that made it.
    tracer_is_noop: AtomicBool,
    instruments: Instruments,
}

/// The propagator of an [`Instrumentation`], instead of the global one.
type OwnPropagator = (Box<dyn TextMapPropagator + Send + Sync>, Known);

impl Instrumentation {
    /// Returns the instrumentation of the global providers, as they were at the first call.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: OnceLock<Instrumentation> = OnceLock::new();
        GLOBAL.get_or_init(|| Instrumentation::builder().build())
    }

    /// Returns the current context with the caller's span context and baggage.
    ///
    /// Returns `None` if the propagator finds neither. Starts from the current context and not from
    /// an empty one, so that values of outer layers stay: suppressed telemetry, for one.
    pub(crate) fn extract(&self, headers: &HeaderMap, known: &KnownHeaders<'_>) -> Option<Context> {
        let extract = |propagator: &dyn TextMapPropagator, recognized| match recognized {
            Known::W3c(w3c) => w3c.extract(headers, known),
            Known::Noop => None,
            Known::Other => Some(extract_with(propagator, headers)),
        };
        let extracted = guard::PROPAGATOR.run(|| match &self.0.propagator {
            Some((propagator, recognized)) => extract(&**propagator, *recognized),
            None => global::get_text_map_propagator(|propagator| extract(propagator, Known::from_global(propagator))),
        });
        extracted.flatten()
    }

    /// Returns `false` if no SDK is installed, as far as is known.
    #[inline]
    pub(crate) fn has_tracer(&self) -> bool {
        !self.0.tracer_is_noop.load(Ordering::Relaxed)
    }

    /// Starts a child span of the span in `parent`, which `builder` describes, and calls
    /// `if_recording` with it if it is recording.
    ///
    /// Returns `None` if telemetry is suppressed, if the tracer turns out to be a no-op, or if it
    /// panics.
    #[inline]
    pub(crate) fn start_span(
        &self,
        parent: &Context,
        builder: impl FnOnce() -> SpanBuilder,
        if_recording: impl FnOnce(&mut BoxedSpan),
    ) -> Option<StartedSpan> {
        if parent.is_telemetry_suppressed() {
            return None;
        }
        let started = guard::TRACER.run(|| {
            let mut span = self.0.tracer.build_with_context(builder(), parent);
            if span.is_recording() {
                if_recording(&mut span);
                return Some(StartedSpan::Recording(span));
            }
            let parent = parent.span();
            let (span_context, parent) = (span.span_context(), parent.span_context());
            if has_new_span_id(span_context, parent) {
                return Some(StartedSpan::NonRecording(propagation::non_recording(
                    span_context,
                    parent,
                )));
            }
            if !self.0.tracer_is_noop.swap(true, Ordering::Relaxed) {
                versions::log_no_tracer();
            }
            None
        });
        started.flatten()
    }

    /// Injects the span context and the baggage of `context` into `headers`, replacing those there.
    pub(crate) fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        let mut inject = |propagator: &dyn TextMapPropagator, recognized| match recognized {
            Known::W3c(w3c) => w3c.inject(context, headers),
            Known::Noop => {}
            Known::Other => propagation::replace(propagator, context, headers),
        };
        guard::PROPAGATOR.run(|| match &self.0.propagator {
            Some((propagator, recognized)) => inject(&**propagator, *recognized),
            None => global::get_text_map_propagator(|propagator| inject(propagator, Known::from_global(propagator))),
        });
    }

    #[inline]
    pub(crate) fn instruments(&self) -> &Instruments {
        &self.0.instruments
    }
}

impl fmt::Debug for Instrumentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumentation").finish_non_exhaustive()
    }
}

#[inline(never)]
fn extract_with(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> Context {
    propagator.extract_with_context(&Context::current(), &Limited(Headers::new(headers)))
}

/// Returns `true` if the span has an id of its own.
///
/// Every tracer gives its spans one, sampled or not, except a no-op: its spans have their parent's
/// id, or none.
fn has_new_span_id(span: &SpanContext, parent: &SpanContext) -> bool {
    span.is_valid() && span.span_id() != parent.span_id()
}

/// The instrumentation of one call.
///
/// Not a clone of the global one: all threads would contend for its reference count.
#[derive(Clone, Debug)]
pub(crate) enum InstrumentationRef {
    Global(&'static Instrumentation),
    Owned(Instrumentation),
}

impl InstrumentationRef {
    /// Returns the given instrumentation, or else the global one.
    pub(crate) fn or_global(instrumentation: Option<&Instrumentation>) -> Self {
        match instrumentation {
            Some(instrumentation) => InstrumentationRef::Owned(instrumentation.clone()),
            None => InstrumentationRef::Global(Instrumentation::global()),
        }
    }
}

impl Deref for InstrumentationRef {
    type Target = Instrumentation;

    #[inline]
    fn deref(&self) -> &Instrumentation {
        match self {
            InstrumentationRef::Global(instrumentation) => instrumentation,
            InstrumentationRef::Owned(instrumentation) => instrumentation,
        }
    }
}
