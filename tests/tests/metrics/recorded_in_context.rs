//! Durations are recorded in the context of their RPC, so that a meter provider that adds exemplars
//! finds its span.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use integration_tests::client::{Kind, call, endpoint, open};
use integration_tests::clock::StoppedClock;
use integration_tests::coverage::{Coverage, RPCS};
use integration_tests::free_address::free_address;
use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::ServerStream;
use integration_tests::own_process::{block_on, in_own_process_async, in_own_process_with};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, serve_with};
use integration_tests::telemetry::{Shared, Telemetry};
#[cfg(feature = "bound-instruments")]
use opentelemetry::metrics::BoundSyncInstrument;
use opentelemetry::metrics::{Histogram, HistogramBuilder, InstrumentProvider, Meter, MeterProvider, SyncInstrument};
use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt};
use opentelemetry::{Context, InstrumentationScope, KeyValue, global};
use otel_runtime::{ClientLayer, ServerLayer};
use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::{Channel, Server};
use tonic::{Request, Status};
use tower::Layer;
use tower::util::MapRequestLayer;

/// A meter provider that notes the span in the current context at each measurement of a duration.
#[derive(Clone, Default)]
struct CurrentSpans(Shared<Vec<(String, SpanId)>>);

impl CurrentSpans {
    /// Makes it the global meter provider of this process.
    fn install() -> Self {
        // Sets the global providers, of which one is replaced.
        drop(Telemetry::start());
        let spans = CurrentSpans::default();
        global::set_meter_provider(spans.clone());
        spans
    }

    /// Takes the measurements of a metric.
    fn take(&self, metric: &str) -> Vec<SpanId> {
        let mut spans = self.0.lock().unwrap();
        let taken = spans.extract_if(.., |(name, _)| name == metric);
        taken.map(|(_, span)| span).collect()
    }
}

impl MeterProvider for CurrentSpans {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(self.clone()))
    }
}

impl InstrumentProvider for CurrentSpans {
    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(Arc::new(Duration64(builder.name.to_string(), self.clone())))
    }
}

/// A histogram with its name.
#[derive(Clone)]
struct Duration64(String, CurrentSpans);

impl SyncInstrument<f64> for Duration64 {
    fn measure(&self, _: f64, _: &[KeyValue]) {
        let span = Context::map_current(|context| context.span().span_context().span_id());
        self.1.0.lock().unwrap().push((self.0.clone(), span));
    }

    // Without it, the handle drops what it measures.
    #[cfg(feature = "bound-instruments")]
    fn bind(&self, _: &[KeyValue]) -> Box<dyn BoundSyncInstrument<f64> + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(feature = "bound-instruments")]
impl BoundSyncInstrument<f64> for Duration64 {
    fn measure(&self, measurement: f64) {
        SyncInstrument::measure(self, measurement, &[]);
    }
}

/// The instrumentation of a server.
#[derive(Clone, Copy, Debug)]
enum Instrumented {
    By(Coverage),
    /// By an outer layer that leaves its calls to a stricter one.
    Nested,
    /// By a layer whose calls start when a handler gets them, or else with an answer, since the
    /// requests do not look like gRPC.
    Late(Coverage),
}

impl Instrumented {
    const ALL: [Instrumented; 6] = [
        Instrumented::By(Coverage::Attribute),
        Instrumented::By(Coverage::Layer),
        Instrumented::By(Coverage::Both),
        Instrumented::Nested,
        Instrumented::Late(Coverage::Layer),
        Instrumented::Late(Coverage::Both),
    ];

    /// Returns whether the server has a call that ends in this way.
    fn has_call(self, (text, end): (&str, End)) -> bool {
        match self {
            // Without a handler that is annotated, only an answer shows that it is an RPC.
            Instrumented::Late(Coverage::Layer) => end == End::Read && text != "panic",
            _ => true,
        }
    }

    async fn serve(self, service: &ScriptedService) -> RunningServer {
        let layer = || ServerLayer::new().known_methods(RPCS);
        let remove = MapRequestLayer::new(|mut request: http::Request<Body>| {
            request.headers_mut().remove(http::header::CONTENT_TYPE);
            request
        });
        let late = || Server::builder().layer(remove).layer(layer());
        match self {
            Instrumented::By(coverage) => coverage.serve(service).await,
            Instrumented::Nested => {
                let layers = Server::builder().layer(layer()).layer(layer().public_endpoint());
                serve_with(layers, service.routes()).await
            }
            Instrumented::Late(Coverage::Layer) => serve_with(late(), service.routes()).await,
            Instrumented::Late(_) => serve_with(late(), Annotated::routes(service)).await,
        }
    }
}

/// The end of a call, as the client brings it about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The response is read to its end.
    Read,
    /// The response stream is dropped after its first message.
    Leave,
    /// The call is cancelled while the service waits.
    Cancel,
    /// The deadline passes.
    Deadline,
}

/// The scripts of all services, and of those that reply with a stream.
const ENDS: [(&str, End); 5] = [
    ("", End::Read),
    ("5", End::Read),
    ("panic", End::Read),
    ("wait", End::Cancel),
    ("wait", End::Deadline),
];
const ENDS_OF_STREAMS: [(&str, End); 6] = [
    ("later 5", End::Read),
    ("torn", End::Read),
    ("later panic", End::Read),
    ("later wait", End::Cancel),
    ("", End::Leave),
    ("later wait", End::Leave),
];

/// Calls, and returns when the client has no part in the call anymore.
async fn run(channel: Channel, kind: Kind, (text, end): (&'static str, End), telemetry: &Telemetry) {
    let channel = ClientLayer::new("here").layer(channel);
    let mut request = Request::new(text);
    match end {
        End::Read => drop(call(channel, kind, request).await),
        End::Leave => drop(open(channel, kind, request).await.unwrap().message().await),
        End::Cancel => {
            let calling = tokio::spawn(call(channel, kind, request));
            telemetry.spans_started(2).await;
            calling.abort();
            drop(calling.await);
        }
        End::Deadline => {
            let clock = StoppedClock::stop();
            request.set_timeout(Duration::from_millis(50));
            let calling = tokio::spawn(call(channel, kind, request));
            telemetry.spans_started(2).await;
            let ended = clock.end(calling).await.unwrap();
            assert!(ended.is_err());
        }
    }
}

/// The durations of a side: that of the conventions, and its legacy name.
const DURATIONS: [(SpanKind, [&str; 2]); 2] = [
    (SpanKind::Client, ["rpc.client.call.duration", "rpc.client.duration"]),
    (SpanKind::Server, ["rpc.server.call.duration", "rpc.server.duration"]),
];

/// Makes calls that end in all ways, and returns those with a duration that was recorded elsewhere
/// than in the span of its call.
async fn calls(instrumented: Instrumented, current: &CurrentSpans) -> Vec<String> {
    let service = ScriptedService::default();
    let server = instrumented.serve(&service).await;
    let mut wrong = Vec::new();
    for kind in Kind::ALL {
        let telemetry = Telemetry::start();
        drop(call(server.channel().await, kind, Request::new("")).await);
        // The first call of nested layers starts anew.
        telemetry.discard_spans(telemetry.started() - 1);
        telemetry.spans(1).await;
        drop(telemetry);
        current.0.lock().unwrap().clear();
        let of_streams = ENDS_OF_STREAMS.into_iter().filter(|_| kind.replies_with_a_stream());
        let ends = ENDS.into_iter().chain(of_streams);
        for (text, end) in ends.filter(|end| instrumented.has_call(*end)) {
            let telemetry = Telemetry::start();
            run(server.channel().await, kind, (text, end), &telemetry).await;
            let spans = telemetry.spans(2).await;
            for (span_kind, metrics) in DURATIONS {
                let span = spans.iter().find(|span| span.span_kind == span_kind).unwrap();
                let expected = [span.span_context.span_id()];
                for metric in metrics {
                    let found = current.take(metric);
                    if found != expected {
                        wrong.push(format!(
                            "{instrumented:?}, {kind:?}, {text:?}, {end:?}, {metric}: {found:?}, not {expected:?}"
                        ));
                    }
                }
            }
        }
    }
    wrong
}

#[test]
fn duration_is_recorded_in_the_context_of_its_rpc() {
    in_own_process_with(&[("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc/dup")], || {
        block_on(async {
            let current = CurrentSpans::install();
            let mut wrong = Vec::new();
            for instrumented in Instrumented::ALL {
                wrong.extend(calls(instrumented, &current).await);
            }
            assert!(wrong.is_empty(), "{wrong:#?}");
        });
    });
}

/// A service that does not get ready.
struct NotReady;

impl Service<http::Request<Body>> for NotReady {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = std::future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Err(Status::unavailable("not ready")))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        unreachable!("the service is not ready")
    }
}

#[test]
fn duration_without_a_connection_is_recorded_in_the_context_of_its_rpc() {
    in_own_process_async(async {
        let current = CurrentSpans::install();
        let telemetry = Telemetry::start();
        let layer = ClientLayer::new("here");
        let not_ready = layer.layer(NotReady);
        let unconnected = layer.layer(endpoint(free_address()).connect_lazy());
        call(not_ready, Kind::Unary, Request::new("")).await.unwrap_err();
        call(unconnected, Kind::Unary, Request::new("")).await.unwrap_err();
        let spans = telemetry.spans(2).await;
        let expected: Vec<_> = spans.iter().map(|span| span.span_context.span_id()).collect();
        assert_eq!(current.take("rpc.client.call.duration"), expected);
    });
}

#[test]
fn duration_of_a_stream_that_is_not_polled_to_its_end_is_recorded_in_the_context_of_its_rpc() {
    in_own_process_async(async {
        let current = CurrentSpans::install();
        let service = Annotated(ScriptedService::default());
        for is_taken in [false, true] {
            let telemetry = Telemetry::start();
            let response = service.call(Request::new(Message::from("text"))).await;
            let mut stream = response.unwrap().into_inner();
            stream.next().await.unwrap().unwrap();
            if is_taken {
                drop(stream.into_inner());
            } else {
                drop(stream);
            }
            let span = telemetry.span().await.span_context.span_id();
            assert_eq!(current.take("rpc.server.call.duration"), [span], "{is_taken}");
        }
    });
}
