//! What RPCs are recorded with: a tracer, a meter's instruments, a propagator.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::metrics::{Histogram, Meter, MeterProvider, UpDownCounter};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanBuilder, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope};

use crate::propagation::{self, Headers};
use crate::semconv;
use crate::status::Side;

/// Providers and a propagator for those who do not want the global ones: tests, and programs with more than one set-up of OpenTelemetry.
///
/// A service uses one with the argument `instrumentation` of [`#[traced_service]`](crate::traced_service). Making one makes instruments, so make it once for each service, not for each RPC;
/// clones are cheap, and share them.
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
pub struct Instrumentation(Arc<Parts>);

struct Parts {
    propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
    tracer: BoxedTracer,
    /// Whether the tracer has shown that it is a no-op. It stays one: it belongs to the provider that it was made by.
    tracer_is_no_op: AtomicBool,
    server: Instruments,
    client: Instruments,
}

/// What the RPCs of one side are counted and timed with.
pub(crate) struct Instruments {
    pub(crate) call_duration: Histogram<f64>,
    pub(crate) active_requests: UpDownCounter<i64>,
}

impl Instrumentation {
    /// Starts with what is global.
    #[must_use]
    pub fn builder() -> InstrumentationBuilder {
        InstrumentationBuilder::default()
    }

    /// That of the global providers as they were at the first call of this function.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: OnceLock<Instrumentation> = OnceLock::new();
        GLOBAL.get_or_init(|| Instrumentation::builder().build())
    }

    /// The current context with what the propagator finds in `headers`: the caller's span and baggage.
    ///
    /// It starts from the current context, not from an empty one, so that what the layers around a service put there (a suppression of telemetry, say) stays.
    pub(crate) fn extract(&self, headers: &HeaderMap) -> Context {
        let (current, headers) = (Context::current(), Headers(headers));
        match &self.0.propagator {
            Some(propagator) => propagator.extract_with_context(&current, &headers),
            None => global::get_text_map_propagator(|propagator| propagator.extract_with_context(&current, &headers)),
        }
    }

    /// Starts the span that `builder` describes, below the span in `parent`. `None` where no SDK is installed, and then nothing is described either.
    pub(crate) fn start_span(&self, parent: &Context, builder: impl FnOnce() -> SpanBuilder) -> Option<BoxedSpan> {
        let parts = &*self.0;
        if parts.tracer_is_no_op.load(Ordering::Relaxed) {
            return None;
        }
        let span = parts.tracer.build_with_context(builder(), parent);
        if has_id_of_its_own(&span, parent) {
            return Some(span);
        }
        // Where telemetry is suppressed, any tracer makes such a span.
        if !parent.is_telemetry_suppressed() {
            parts.tracer_is_no_op.store(true, Ordering::Relaxed);
        }
        None
    }

    /// Lets the propagator write the span and the baggage in `context` into `headers`, in place of those that are there.
    pub(crate) fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        match &self.0.propagator {
            Some(propagator) => propagation::replace(&**propagator, context, headers),
            None => global::get_text_map_propagator(|propagator| propagation::replace(propagator, context, headers)),
        }
    }

    pub(crate) fn instruments(&self, side: Side) -> &Instruments {
        match side {
            Side::Server => &self.0.server,
            Side::Client => &self.0.client,
        }
    }
}

impl fmt::Debug for Instrumentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumentation").finish_non_exhaustive()
    }
}

/// Every tracer gives every span an id, sampled or not, but a no-op: its spans have their parent's, or none.
fn has_id_of_its_own(span: &BoxedSpan, parent: &Context) -> bool {
    let context = span.span_context();
    context.is_valid() && context.span_id() != parent.span().span_context().span_id()
}

/// Makes an [`Instrumentation`]. What is not set is what is global when it is [built](Self::build), save for the propagator, which is the one that is global when an RPC comes.
#[derive(Default)]
pub struct InstrumentationBuilder {
    tracer: Option<BoxedTracer>,
    meter: Option<Meter>,
    propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
}

impl InstrumentationBuilder {
    /// Where spans go.
    #[must_use]
    pub fn tracer_provider<P>(mut self, provider: &P) -> Self
    where
        P: TracerProvider<Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static>,
    {
        self.tracer = Some(BoxedTracer::new(Box::new(provider.tracer_with_scope(scope()))));
        self
    }

    /// Where measurements go.
    #[must_use]
    pub fn meter_provider(mut self, provider: &impl MeterProvider) -> Self {
        self.meter = Some(provider.meter_with_scope(scope()));
        self
    }

    /// What reads the caller's context from the metadata of a request.
    #[must_use]
    pub fn propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.propagator = Some(Box::new(propagator));
        self
    }

    /// Makes the instruments.
    #[must_use]
    pub fn build(self) -> Instrumentation {
        let meter = self.meter.unwrap_or_else(|| global::meter_with_scope(scope()));
        Instrumentation(Arc::new(Parts {
            propagator: self.propagator,
            tracer: self.tracer.unwrap_or_else(|| global::tracer_with_scope(scope())),
            tracer_is_no_op: AtomicBool::new(false),
            server: Instruments {
                call_duration: call_duration(&meter, &semconv::SERVER_CALL_DURATION),
                active_requests: active_requests(&meter, &semconv::SERVER_ACTIVE_REQUESTS),
            },
            client: Instruments {
                call_duration: call_duration(&meter, &semconv::CLIENT_CALL_DURATION),
                active_requests: active_requests(&meter, &semconv::CLIENT_ACTIVE_REQUESTS),
            },
        }))
    }
}

impl fmt::Debug for InstrumentationBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstrumentationBuilder").finish_non_exhaustive()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(semconv::SCOPE_NAME)
        .with_version(semconv::SCOPE_VERSION)
        .with_schema_url(semconv::SCHEMA_URL)
        .build()
}

fn call_duration(meter: &Meter, instrument: &semconv::Instrument) -> Histogram<f64> {
    meter
        .f64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(semconv::DURATION_BOUNDARIES.to_vec())
        .build()
}

fn active_requests(meter: &Meter, instrument: &semconv::Instrument) -> UpDownCounter<i64> {
    meter
        .i64_up_down_counter(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .build()
}

/// The instrumentation of one RPC. Not a clone of the global one: all threads would count its clones in one place.
#[derive(Debug)]
pub(crate) enum Chosen {
    Global(&'static Instrumentation),
    Own(Instrumentation),
}

impl Deref for Chosen {
    type Target = Instrumentation;

    fn deref(&self) -> &Instrumentation {
        match self {
            Chosen::Global(instrumentation) => instrumentation,
            Chosen::Own(instrumentation) => instrumentation,
        }
    }
}
