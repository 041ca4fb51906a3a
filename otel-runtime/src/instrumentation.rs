//! What RPCs are recorded with: a tracer, a meter's instruments, a propagator.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::HeaderMap;
use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::metrics::{Histogram, Meter, MeterProvider, NoopMeterProvider, UpDownCounter};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{Span, SpanBuilder, SpanContext, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};

use crate::call::Attributes;
use crate::headers::Found;
use crate::legacy::Legacy;
use crate::method::Method;
use crate::panic;
use crate::points::Instruments;
use crate::propagation::{self, Headers, Limited};
use crate::semconv;
use crate::status::{Outcome, Side};
use crate::traceparent::{self, Known};

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
    /// No other has it.
    number: u64,
    measures: Measures,
}

/// A meter, and the instruments that it makes.
struct Measures {
    server: Arc<Instruments>,
    client: Arc<Instruments>,
    legacy: Option<Legacy>,
    meter: Meter,
    total_sizes: OnceLock<TotalSizes>,
}

/// gRPC's own metrics of the messages of a server's RPC.
struct TotalSizes {
    received: Histogram<u64>,
    sent: Histogram<u64>,
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

    /// The current context with what the propagator finds in `headers`: the caller's span and baggage. `None` where it finds nothing, so that the current context stays.
    ///
    /// It starts from the current context, not from an empty one, so that what the layers around a service put there (a suppression of telemetry, say) stays.
    pub(crate) fn extract(&self, headers: &HeaderMap, found: &Found<'_>) -> Option<Context> {
        let extract = |propagator: &dyn TextMapPropagator| match traceparent::read(propagator, found) {
            Known::Nothing => None,
            Known::Caller(span) => Some(Context::map_current(|current| current.with_remote_span_context(span))),
            Known::Unknown => Some(extract_all(propagator, headers)),
        };
        let found = panic::PROPAGATOR.answer(|| match &self.0.propagator {
            Some(propagator) => extract(&**propagator),
            None => global::get_text_map_propagator(extract),
        });
        found.flatten()
    }

    /// Whether an SDK is installed, as far as is known.
    #[inline]
    pub(crate) fn makes_spans(&self) -> bool {
        !self.0.tracer_is_no_op.load(Ordering::Relaxed)
    }

    /// Starts a span below the one in `parent`. `None` where telemetry is suppressed, where it turns out that no SDK is installed, and where that panics.
    #[inline]
    pub(crate) fn start_span(
        &self,
        parent: &Context,
        builder: SpanBuilder,
        attributes: &dyn Attributes,
    ) -> Option<Started> {
        if parent.is_telemetry_suppressed() {
            return None;
        }
        let started = panic::TRACER.answer(|| {
            let mut span = self.0.tracer.build_with_context(builder, parent);
            if span.is_recording() {
                attributes.recorded(&mut span);
                return Some(Started::Recording(span));
            }
            if has_id_of_its_own(&span, parent) {
                return Some(Started::Id(span.span_context().clone()));
            }
            self.0.tracer_is_no_op.store(true, Ordering::Relaxed);
            None
        });
        started.flatten()
    }

    /// Lets the propagator write the span and the baggage in `context` into `headers`, in place of those that are there.
    pub(crate) fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        let mut inject = |propagator: &dyn TextMapPropagator| {
            if !traceparent::write(propagator, context, headers) {
                propagation::replace(propagator, context, headers);
            }
        };
        panic::PROPAGATOR.answer(|| match &self.0.propagator {
            Some(propagator) => inject(&**propagator),
            None => global::get_text_map_propagator(inject),
        });
    }

    /// What RPCs were measured with, if the environment asks for it.
    #[inline]
    pub(crate) fn legacy(&self) -> Option<&Legacy> {
        self.0.measures.legacy.as_ref()
    }

    /// Records how many bytes of messages one RPC of a server received and sent. The instruments are made by the first, so that nobody has them who does not ask for them.
    pub(crate) fn record_total_sizes(&self, method: &Method, outcome: Outcome<'_>, received: u64, sent: u64) {
        let Measures { meter, total_sizes, .. } = &self.0.measures;
        let sizes = total_sizes.get_or_init(|| TotalSizes {
            received: total_size(meter, &semconv::SERVER_CALL_RECEIVED_SIZE),
            sent: total_size(meter, &semconv::SERVER_CALL_SENT_SIZE),
        });
        let name = if method.is_other() {
            semconv::GRPC_OTHER
        } else {
            method.name()
        };
        let attributes = [
            KeyValue::new(semconv::GRPC_METHOD, name),
            KeyValue::new(semconv::GRPC_STATUS, outcome.code_name()),
        ];
        sizes.received.record(received, &attributes);
        sizes.sent.record(sent, &attributes);
    }

    /// The same for its clones, and for no other.
    #[inline]
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    #[inline]
    pub(crate) fn instruments(&self, side: Side) -> &Instruments {
        match side {
            Side::Server => &self.0.measures.server,
            Side::Client => &self.0.measures.client,
        }
    }
}

impl fmt::Debug for Instrumentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumentation").finish_non_exhaustive()
    }
}

/// What the propagator itself finds, in the current context.
#[inline(never)]
fn extract_all(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> Context {
    propagator.extract_with_context(&Context::current(), &Limited(Headers::new(headers)))
}

/// A span that has started.
pub(crate) enum Started {
    Recording(BoxedSpan),
    /// One that takes nothing up. What goes on from it is its id.
    Id(SpanContext),
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
    duration_boundaries: Option<Vec<f64>>,
}

/// The buckets that gRPC itself has for durations ([gRFC A66](https://github.com/grpc/proposal/blob/master/A66-otel-stats.md)), in seconds: finer than those of the semantic conventions.
///
/// # Example
///
/// ```
/// use otel_runtime::{GRPC_DURATION_BOUNDARIES, Instrumentation};
///
/// let instrumentation = Instrumentation::builder().duration_boundaries(GRPC_DURATION_BOUNDARIES).build();
/// # let _ = instrumentation;
/// ```
pub const GRPC_DURATION_BOUNDARIES: [f64; 41] = [
    0.0, 0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01,
    0.013, 0.016, 0.02, 0.025, 0.03, 0.04, 0.05, 0.065, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8,
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0,
];

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

    /// The upper bounds of the buckets of `rpc.server.call.duration` and `rpc.client.call.duration`, in seconds, instead of those that the semantic conventions advise.
    #[must_use]
    pub fn duration_boundaries(mut self, boundaries: impl Into<Vec<f64>>) -> Self {
        self.duration_boundaries = Some(boundaries.into());
        self
    }

    /// Makes the instruments.
    #[must_use]
    pub fn build(self) -> Instrumentation {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);

        let InstrumentationBuilder {
            tracer,
            meter,
            propagator,
            duration_boundaries,
        } = self;
        let tracer = tracer.or_else(|| panic::TRACER.answer(|| global::tracer_with_scope(scope())));
        let boundaries = duration_boundaries.unwrap_or_else(|| semconv::DURATION_BOUNDARIES.to_vec());
        let measures = panic::METER.answer(|| {
            let meter = meter.unwrap_or_else(|| global::meter_with_scope(scope()));
            Measures::new(meter, &boundaries)
        });
        Instrumentation(Arc::new(Parts {
            propagator,
            tracer: tracer.unwrap_or_else(|| BoxedTracer::new(Box::new(NoopTracer::new()))),
            tracer_is_no_op: AtomicBool::new(false),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            measures: measures.unwrap_or_else(|| Measures::new(NoopMeterProvider::new().meter(""), &boundaries)),
        }))
    }
}

impl Measures {
    fn new(meter: Meter, boundaries: &[f64]) -> Self {
        Measures {
            server: Instruments::new(
                &meter,
                call_duration(&meter, &semconv::SERVER_CALL_DURATION, boundaries),
                active_requests(&meter, &semconv::SERVER_ACTIVE_REQUESTS),
            ),
            client: Instruments::new(
                &meter,
                call_duration(&meter, &semconv::CLIENT_CALL_DURATION, boundaries),
                active_requests(&meter, &semconv::CLIENT_ACTIVE_REQUESTS),
            ),
            legacy: Legacy::if_asked_for(&meter),
            total_sizes: OnceLock::new(),
            meter,
        }
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

fn call_duration(meter: &Meter, instrument: &semconv::Instrument, boundaries: &[f64]) -> Histogram<f64> {
    meter
        .f64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(boundaries.to_vec())
        .build()
}

fn total_size(meter: &Meter, instrument: &semconv::Instrument) -> Histogram<u64> {
    meter
        .u64_histogram(instrument.name)
        .with_unit(instrument.unit)
        .with_description(instrument.description)
        .with_boundaries(semconv::SIZE_BOUNDARIES.to_vec())
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

impl Chosen {
    /// The same once more, for what belongs to the same RPC.
    #[inline]
    pub(crate) fn again(&self) -> Self {
        match self {
            Chosen::Global(instrumentation) => Chosen::Global(instrumentation),
            Chosen::Own(instrumentation) => Chosen::Own(instrumentation.clone()),
        }
    }
}

impl Deref for Chosen {
    type Target = Instrumentation;

    #[inline]
    fn deref(&self) -> &Instrumentation {
        match self {
            Chosen::Global(instrumentation) => instrumentation,
            Chosen::Own(instrumentation) => instrumentation,
        }
    }
}
