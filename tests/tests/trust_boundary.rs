//! The limits of what an untrusted caller can make a service do: each sentence of docs/trust.md,
//! over a socket.

use std::sync::{Arc, Mutex};

use integration_tests::child::Driven;
use integration_tests::client::{self, Kind};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::obedient::Obedient;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::server::{channel_to, serve, serve_with};
use integration_tests::telemetry::{Shared, Telemetry, attributes};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    FutureExt, Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, SpanData,
};
use otel_runtime::propagation::{JaegerPropagator, XRayPropagator};
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer, TracedChannel, traced_service};
use tonic::metadata::{KeyRef, MetadataMap};
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tower::Layer;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const RPC: &str = "kinds.Unary/Call";
/// The total size of headers that hyper, below tonic, accepts, unless the server says otherwise.
const MOST_HEADERS: usize = 16 * 1024;

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn hostile(metadata: &[(&'static str, &str)]) -> Request<Message> {
    let mut request = request("");
    for (name, value) in metadata {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// A service of one's own, and the one behind it that it calls.
struct Front {
    seen: Shared<Option<Context>>,
    behind: Option<UnaryClient<TracedChannel>>,
    instrumentation: Instrumentation,
}

macro_rules! front {
    ($name:ident $(, $public:ident)?) => {
        struct $name(Front);

        #[traced_service($($public,)? request_headers("x-tenant"), instrumentation = self.0.instrumentation)]
        #[tonic::async_trait]
        impl Unary for $name {
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                *self.0.seen.lock().unwrap() = Some(Context::current());
                if let Some(mut behind) = self.0.behind.clone() {
                    behind.call(Message::from("")).await?;
                }
                Ok(Response::new(request.into_inner()))
            }
        }
    };
}

front!(Private);
front!(Public, public_endpoint);

/// Who is told that the callers are strangers.
#[derive(Clone, Copy, Debug)]
enum Told {
    Nobody,
    TheAttribute,
    TheLayer,
}

const STRANGERS: [Told; 2] = [Told::TheAttribute, Told::TheLayer];

/// The outcome of an RPC.
struct Outcome {
    spans: Vec<SpanData>,
    /// The context of the handler.
    seen: Context,
    /// The headers that the next service receives.
    forwarded: MetadataMap,
}

/// A sampler that records nothing by itself, and what the caller asks for: production's, nearly.
async fn call(told: Told, propagator: Option<TraceContextPropagator>, request: Request<Message>) -> Outcome {
    let spans = InMemorySpanExporter::default();
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    let tracers = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_simple_exporter(spans.clone())
        .build();
    let mut instrumentation = Instrumentation::builder().tracer_provider(&tracers);
    if let Some(propagator) = propagator {
        instrumentation = instrumentation.propagator(propagator);
    }
    let instrumentation = instrumentation.build();
    let backend = Obedient::default();
    let behind = serve(backend.routes()).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", behind.address)).unwrap();
    let seen = Arc::new(Mutex::new(None));
    let front = Front {
        seen: Arc::clone(&seen),
        behind: Some(UnaryClient::new(TracedChannel::connect_lazy(&endpoint))),
        instrumentation: instrumentation.clone(),
    };
    let routes = match told {
        Told::TheAttribute => Routes::new(UnaryServer::new(Public(front))),
        Told::Nobody | Told::TheLayer => Routes::new(UnaryServer::new(Private(front))),
    };
    let server = match told {
        Told::TheLayer => {
            let layer = ServerLayer::new().public_endpoint().instrumentation(instrumentation);
            serve_with(Server::builder().layer(layer), routes).await
        }
        Told::Nobody | Told::TheAttribute => serve(routes).await,
    };
    UnaryClient::new(server.channel().await).call(request).await.unwrap();
    let seen = seen.lock().unwrap().take().unwrap();
    Outcome {
        spans: spans.get_finished_spans().unwrap(),
        seen,
        forwarded: backend.only_metadata(),
    }
}

/// Sampling, and whose trace it is.
#[tokio::test]
async fn a_caller_makes_a_service_record_that_does_not_take_it_for_a_stranger() {
    let _turn = Telemetry::start();
    let outcome = call(Told::Nobody, None, hostile(&[("traceparent", &traceparent("01"))])).await;
    let [span] = &outcome.spans[..] else {
        panic!("{:?}", outcome.spans)
    };
    assert_eq!(span.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());

    for told in STRANGERS {
        let outcome = call(told, None, hostile(&[("traceparent", &traceparent("01"))])).await;
        assert_eq!(outcome.spans.len(), 0, "{told:?}");
    }
}

#[tokio::test]
async fn a_caller_silences_the_spans_of_a_service_that_does_not_take_it_for_a_stranger_and_no_metric() {
    let telemetry = Telemetry::start();
    let service = || Front {
        seen: Arc::default(),
        behind: None,
        instrumentation: Instrumentation::builder().build(),
    };
    let unsampled = || hostile(&[("traceparent", &traceparent("00"))]);
    let server = serve(Routes::new(UnaryServer::new(Private(service())))).await;
    UnaryClient::new(server.channel().await)
        .call(unsampled())
        .await
        .unwrap();
    telemetry.durations(1).await;
    telemetry.spans(0).await;

    let server = serve(Routes::new(UnaryServer::new(Public(service())))).await;
    UnaryClient::new(server.channel().await)
        .call(unsampled())
        .await
        .unwrap();
    assert!(telemetry.span().await.span_context.is_sampled());
}

#[tokio::test]
async fn a_stranger_is_linked_to_and_goes_no_further() {
    let _turn = Telemetry::start();
    let lies = [("traceparent", &*traceparent("01")), ("tracestate", "forged=1")];
    let outcome = call(Told::Nobody, None, hostile(&lies)).await;
    let forwarded = outcome.forwarded.get("traceparent").unwrap().to_str().unwrap();
    assert!(forwarded.contains(TRACE));
    assert_eq!(outcome.forwarded.get("tracestate").unwrap(), "forged=1");

    for told in STRANGERS {
        let outcome = call(told, None, hostile(&lies)).await;
        let forwarded = outcome.forwarded.get("traceparent").unwrap().to_str().unwrap();
        assert!(!forwarded.contains(TRACE) && !forwarded.contains(PARENT), "{told:?}");
        let trace_state = outcome.forwarded.get("tracestate");
        assert!(
            trace_state.is_none_or(tonic::metadata::MetadataValue::is_empty),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn however_many_parents_a_stranger_claims_there_is_at_most_one_link() {
    let cases = STRANGERS
        .into_iter()
        .flat_map(|told| [(told, 1, 1), (told, 2, 0), (told, 99, 0)]);
    for (told, claimed, links) in cases {
        let telemetry = Telemetry::start();
        let front = Front {
            seen: Arc::default(),
            behind: None,
            instrumentation: Instrumentation::builder().build(),
        };
        let server = match told {
            Told::TheLayer => {
                let routes = Routes::new(UnaryServer::new(Private(front)));
                serve_with(Server::builder().layer(ServerLayer::new().public_endpoint()), routes).await
            }
            _ => serve(Routes::new(UnaryServer::new(Public(front)))).await,
        };
        let parents: Vec<String> = (1..=claimed)
            .map(|number| format!("00-{TRACE}-{number:016x}-01"))
            .collect();
        let parents: Vec<_> = parents.iter().map(|parent| ("traceparent", &**parent)).collect();
        UnaryClient::new(server.channel().await)
            .call(hostile(&parents))
            .await
            .unwrap();
        let span = telemetry.span().await;
        assert_eq!(span.parent_span_id, SpanId::INVALID, "{told:?}");
        assert_eq!(span.links.len(), links, "{told:?} {claimed}");
    }
}

#[tokio::test]
async fn of_a_long_tracestate_32_members_and_4096_bytes_are_kept() {
    let _turn = Telemetry::start();
    let members: Vec<String> = (0..500).map(|number| format!("member{number}=x")).collect();
    // More than 32 make the list invalid.
    for (count, kept) in [
        (32, &members[..32].join(",")),
        (33, &String::new()),
        (500, &String::new()),
    ] {
        let lies = [
            ("traceparent", &*traceparent("01")),
            ("tracestate", &members[..count].join(",")),
        ];
        let outcome = call(Told::Nobody, None, hostile(&lies)).await;
        assert_eq!(outcome.spans[0].span_context.trace_state().header(), *kept);
        let forwarded = outcome.forwarded.get("tracestate").map(|state| state.to_str().unwrap());
        assert_eq!(forwarded, Some(kept.as_str()).filter(|kept| !kept.is_empty()));
    }

    let members: Vec<String> = (10..40).map(|number| format!("{number}={}", "x".repeat(250))).collect();
    let parent = traceparent("01");
    // In one line, and in many.
    for lines in [vec![members.join(",")], members.clone()] {
        let mut lies = vec![("traceparent", &*parent)];
        lies.extend(lines.iter().map(|line| ("tracestate", &**line)));
        let outcome = call(Told::Nobody, None, hostile(&lies)).await;
        let state = outcome.spans[0].span_context.trace_state().header();
        assert_eq!(state, members[..16].join(","));
        assert!(state.len() <= 4096 && state.len() + members[16].len() + 1 > 4096);
        assert_eq!(outcome.forwarded.get("tracestate").unwrap().to_str().unwrap(), state);
    }
}

/// Baggage.
#[tokio::test]
async fn a_strangers_baggage_reaches_the_handler_and_all_it_calls_and_is_never_recorded() {
    for told in [Told::Nobody, Told::TheAttribute, Told::TheLayer] {
        let telemetry = Telemetry::start();
        let lies = [
            ("traceparent", &*traceparent("01")),
            ("baggage", "user.id=root,admin=true"),
        ];
        let outcome = call(told, None, hostile(&lies)).await;
        assert_eq!(
            outcome.seen.baggage().get("admin").unwrap().as_str(),
            "true",
            "{told:?}"
        );
        let forwarded = outcome.forwarded.get("baggage").unwrap().to_str().unwrap();
        assert!(forwarded.contains("admin=true"), "{told:?}: {forwarded}");

        let recorded = format!("{:?} {:?}", outcome.spans, telemetry.metrics());
        assert!(!recorded.contains("admin") && !recorded.contains("root"), "{told:?}");
    }
}

#[tokio::test]
async fn without_the_propagator_of_baggage_there_is_none() {
    let _turn = Telemetry::start();
    let lies = [("traceparent", &*traceparent("01")), ("baggage", "admin=true")];
    let outcome = call(Told::Nobody, Some(TraceContextPropagator::new()), hostile(&lies)).await;
    assert!(outcome.seen.baggage().is_empty());
    assert!(outcome.forwarded.get("baggage").is_none());
    assert_eq!(TraceContextPropagator::new().fields().count(), 2);
}

#[tokio::test]
async fn of_baggage_64_members_and_8192_bytes_are_read() {
    let _turn = Telemetry::start();
    let many: Vec<String> = (0..500).map(|number| format!("key{number}=x")).collect();
    let outcome = call(Told::Nobody, None, hostile(&[("baggage", &many.join(","))])).await;
    assert_eq!(outcome.seen.baggage().len(), 64);

    let long = format!("key={}", "x".repeat(8192));
    let outcome = call(Told::Nobody, None, hostile(&[("baggage", &long)])).await;
    assert!(outcome.seen.baggage().is_empty());
    assert!(outcome.forwarded.get("baggage").is_none());
    // Nor more in many lines, of which each is short enough.
    let line = |key| format!("{key}={}", "x".repeat(4092));
    let lines = [line("ab"), line("cd"), line("ef")];
    let lines: Vec<_> = lines.iter().map(|line| ("baggage", &**line)).collect();
    let outcome = call(Told::Nobody, None, hostile(&lines)).await;
    let seen = outcome.seen.baggage();
    assert!(seen.get("ab").is_some() && seen.get("cd").is_some() && seen.get("ef").is_none());
}

/// Baggage that this service encoded in its own way could be three times as long: more than the
/// next service accepts of headers.
#[tokio::test]
async fn a_caller_cannot_make_an_outgoing_call_fail_by_what_it_carries() {
    let _turn = Telemetry::start();
    let member = |number| format!("key{number}={}", "%22!".repeat(240));
    let baggage: Vec<String> = (0..8).map(member).collect();
    let state: Vec<String> = (10..35).map(|number| format!("{number}={}", "x".repeat(250))).collect();
    let lies = [
        ("traceparent", &*traceparent("01")),
        ("tracestate", &state.join(",")),
        ("baggage", &baggage.join(",")),
    ];
    let outcome = call(Told::Nobody, None, hostile(&lies)).await;
    assert_eq!(outcome.seen.baggage().len(), 8);
    let forwarded = outcome.forwarded.get("baggage").unwrap().to_str().unwrap();
    assert_eq!(forwarded, baggage.join(","));
    // Characters that have to be encoded, and are not.
    let outcome = call(Told::Nobody, None, hostile(&[("baggage", "a=\"\"\",b=1")])).await;
    assert_eq!(outcome.forwarded.get("baggage").unwrap(), "b=1");
}

/// Separators that are hidden in a property would else come out as such.
#[tokio::test]
async fn a_property_does_not_become_a_member() {
    let _turn = Telemetry::start();
    let lie = format!("key=1;{};p=%2Cadmin%3Dtrue", "%2Cx".repeat(500));
    let outcome = call(Told::Nobody, None, hostile(&[("baggage", &lie)])).await;
    assert_eq!(outcome.forwarded.get("baggage").unwrap(), &*lie);
}

/// Takes lists as they are given to it, and writes one that has no end: a propagator of one's own.
#[derive(Debug, Default)]
struct Wordy(Shared<Vec<String>>);

const LISTS: [(&str, usize, usize); 2] = [("tracestate", 32, 4096), ("baggage", 64, 8192)];

/// Short members, and long ones.
fn members() -> [Vec<String>; 2] {
    let member = |number, length| format!("{number:03}={}", "x".repeat(length));
    let of_length = |length, count: u32| (0..count).map(|number| member(number, length)).collect();
    [of_length(1, 500), of_length(400, 24)]
}

/// Asserts that as many `members` were kept as the limits allow, each as a whole.
fn assert_kept(kept: &str, all: &[String], (name, members, bytes): (&str, usize, usize)) {
    let count = kept.split(',').count();
    assert_eq!(kept, all[..count].join(","), "{name}");
    assert!(count <= members && kept.len() <= bytes, "{name}: {count} members");
    assert!(
        count == members || kept.len() + 1 + all[count].len() > bytes,
        "{name}: {kept}"
    );
}

impl TextMapPropagator for Wordy {
    fn inject_context(&self, _: &Context, injector: &mut dyn Injector) {
        let [many, long] = members();
        for (name, members) in [("tracestate", &many), ("baggage", &long)] {
            injector.set(name, members.join(","));
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let found = LISTS.iter().filter_map(|(name, ..)| extractor.get(name));
        self.0.lock().unwrap().extend(found.map(str::to_owned));
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

/// The limits are not the SDK's propagators'.
#[tokio::test]
async fn a_propagator_of_ones_own_reads_and_writes_no_longer_lists() {
    let _turn = Telemetry::start();
    let obedient = Obedient::default();
    let read = Shared::default();
    let wordy = Instrumentation::builder().propagator(Wordy(Arc::clone(&read))).build();
    let layer = ServerLayer::new().instrumentation(wordy.clone());
    let server = serve_with(Server::builder().layer(layer), obedient.routes()).await;
    for list in LISTS {
        for members in members() {
            let lies = hostile(&[(list.0, &members.join(","))]);
            call_to_end(server.channel().await, RPC, lies).await;
            let [kept] = &std::mem::take(&mut *read.lock().unwrap())[..] else {
                panic!("one {}", list.0)
            };
            assert_kept(kept, &members, list);
        }
    }

    let behind = Obedient::default();
    let server = serve(behind.routes()).await;
    let layer = ClientLayer::new("here").instrumentation(wordy);
    let channel = layer.layer(server.channel().await);
    client::call(channel, Kind::Unary, Request::new("")).await.unwrap();
    let forwarded = behind.only_metadata();
    for (list, members) in LISTS.into_iter().zip(members()) {
        assert_kept(forwarded.get(list.0).unwrap().to_str().unwrap(), &members, list);
    }
}

/// The headers that another propagator injects for a context with too much baggage and too long a
/// tracestate.
async fn written_by(propagator: impl TextMapPropagator + Send + Sync + 'static) -> MetadataMap {
    let behind = Obedient::default();
    let server = serve(behind.routes()).await;
    let instrumentation = Instrumentation::builder().propagator(propagator);
    let layer = ClientLayer::new("here").instrumentation(instrumentation.build());
    let channel = layer.layer(server.channel().await);
    let state = (0..24).map(|number| (format!("key{number}"), "x".repeat(250)));
    let parent = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(PARENT).unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value(state).unwrap(),
    );
    let baggage = (0..8).map(|number| KeyValue::new(format!("key{number}"), "\"".repeat(1000)));
    let context = Context::new().with_remote_span_context(parent).with_baggage(baggage);
    let call = client::call(channel, Kind::Unary, Request::new(""));
    call.with_context(context).await.unwrap();
    behind.only_metadata()
}

#[tokio::test]
async fn nor_do_those_of_jaeger_and_x_ray() {
    let _turn = Telemetry::start();
    let written = written_by(JaegerPropagator::default()).await;
    assert!(
        written
            .get("uber-trace-id")
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(TRACE)
    );
    let baggage = written
        .keys()
        .filter(|key| matches!(key, KeyRef::Ascii(key) if key.as_str().starts_with("uberctx-")));
    assert_eq!(baggage.count(), 2, "as many as 8,192 bytes hold");

    let written = written_by(XRayPropagator::default()).await;
    let header = written.get("x-amzn-trace-id").unwrap().to_str().unwrap();
    assert!(header.starts_with("Root=1-") && header.len() < 100, "{header}");
}

/// Headers.
#[tokio::test]
async fn a_header_that_is_not_listed_is_nowhere() {
    for told in [Told::Nobody, Told::TheAttribute, Told::TheLayer] {
        let telemetry = Telemetry::start();
        let secrets = [
            ("traceparent", &*traceparent("01")),
            ("authorization", "Bearer s3cret"),
            ("cookie", "session=s3cret"),
            ("x-tenant-2", "s3cret"),
            ("x-tenant", "blue"),
        ];
        let outcome = call(told, None, hostile(&secrets)).await;
        let recorded = format!("{:?} {:?} {:?}", outcome.spans, telemetry.metrics(), telemetry.logs());
        assert!(!recorded.contains("s3cret"), "{told:?}: {recorded}");
    }
}

#[tokio::test]
async fn of_a_listed_header_16_values_of_1024_bytes_are_kept() {
    let _turn = Telemetry::start();
    let values: Vec<String> = (0..40).map(|number| format!("tenant {number}")).collect();
    let long = "x".repeat(8000);
    let mut lies = vec![("traceparent", traceparent("01")), ("x-tenant", long.clone())];
    lies.extend(values.iter().map(|value| ("x-tenant", value.clone())));
    let lies: Vec<_> = lies.iter().map(|(name, value)| (*name, &**value)).collect();
    let outcome = call(Told::Nobody, None, hostile(&lies)).await;
    let captured = outcome.spans[0]
        .attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "rpc.request.header.x-tenant");
    let Some(Value::Array(Array::String(captured))) = captured.map(|attribute| &attribute.value) else {
        panic!("{captured:?}")
    };
    let captured: Vec<&str> = captured.iter().map(StringValue::as_str).collect();
    assert_eq!(captured[0], &long[..1024]);
    assert_eq!(captured[1..], values[..15]);
}

#[tokio::test]
async fn more_headers_than_the_server_takes_are_no_rpc() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        Obedient::default().routes(),
    )
    .await;
    let value = "x".repeat(MOST_HEADERS);
    let refused = call_to_end(server.channel().await, RPC, hostile(&[("x-tenant", &value)])).await;
    assert_ne!(refused.1.code(), Code::Ok);
    call_to_end(server.channel().await, RPC, request("")).await;
    // The one that is an RPC.
    telemetry.spans(1).await;
    telemetry.durations(1).await;
}

/// Names.
#[tokio::test]
async fn made_up_methods_are_one_name_in_metrics_and_of_spans() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        Obedient::default().routes(),
    )
    .await;
    let channel = server.channel().await;
    let long = "x".repeat(8000);
    let count = 200;
    for number in 0..count {
        // Also of a service that there is, and of nearly one that there is.
        for path in [
            format!("a{number}.B/C"),
            format!("kinds.Unary/{number}"),
            format!("kinds.Unary/Call/{number}{long}"),
        ] {
            let (_, status) = call_to_end(channel.clone(), &path, request("")).await;
            assert_eq!(status.code(), Code::Unimplemented);
        }
    }
    for span in telemetry.spans(3 * count).await {
        assert_eq!(span.name, "grpc");
        let found = attributes(&span.attributes);
        assert_eq!(found["rpc.method"], "_OTHER");
        let original = &found["rpc.method_original"];
        assert!(original.len() == 256 || !original.contains(&long[..100]), "{original}");
        assert!(original.len() <= 256);
    }
    let metrics = telemetry.metrics();
    let durations = metrics.durations();
    let [(point, counted, _)] = &durations[..] else {
        panic!("{durations:?}")
    };
    assert_eq!((&*point["rpc.method"], *counted), ("_OTHER", 3 * count as u64));
    // This is the server's failure, by the conventions: alerts had better leave `_OTHER` out.
    assert_eq!(point["error.type"], "UNIMPLEMENTED");
    // Series of other tests' RPCs stay, with the value 0.
    for (point, active) in metrics.active_requests() {
        assert!(["_OTHER", RPC].contains(&&*point["rpc.method"]), "{point:?}");
        assert_eq!(active, 0);
    }
}

/// A sampler that remembers the longest name that it was asked about.
#[derive(Clone, Debug, Default)]
struct Longest(Shared<String>);

impl ShouldSample for Longest {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let mut longest = self.0.lock().unwrap();
        if longest.len() < name.len() {
            name.clone_into(&mut longest);
        }
        SamplingResult {
            decision: SamplingDecision::Drop,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

#[tokio::test]
async fn a_sampler_sees_256_bytes_of_a_made_up_path() {
    let _turn = Telemetry::start();
    let sampler = Longest::default();
    let tracers = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
    let instrumentation = Instrumentation::builder().tracer_provider(&tracers).build();
    let layer = ServerLayer::new().instrumentation(instrumentation);
    let server = serve_with(Server::builder().layer(layer), Obedient::default().routes()).await;
    let path = format!("a.B/{}", "x".repeat(8000));
    call_to_end(server.channel().await, &path, request("")).await;
    assert_eq!(*sampler.0.lock().unwrap(), path[..256]);
}

/// A service that takes any path at all, a proxy say, makes methods of them.
#[tokio::test]
async fn a_path_longer_than_256_bytes_is_no_method() {
    // Whatever it answers, it is more than a bare status.
    let any = || async { ([("content-type", "application/grpc")], [0; 5]) };
    let routes = Obedient::default().routes().into_axum_router().fallback(any);
    // With metrics of its own: such a name would stay in those of the others.
    let instrumentation = Instrumentation::builder().meter_provider(&SdkMeterProvider::default());
    let layer = ServerLayer::new().instrumentation(instrumentation.build());
    let server = serve_with(Server::builder().layer(layer), Routes::from(routes)).await;
    let path = |length: usize| format!("a.B/{}", "x".repeat(length - 4));
    for (path, name) in [(path(256), path(256)), (path(257), "_OTHER".to_owned())] {
        let telemetry = Telemetry::start();
        call_to_end(server.channel().await, &path, request("")).await;
        assert_eq!(attributes(&telemetry.span().await.attributes)["rpc.method"], name);
    }
}

#[tokio::test]
async fn the_servers_address_is_what_the_caller_calls_it_on_spans_alone() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        Obedient::default().routes(),
    )
    .await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let lying = endpoint.origin("http://bank.example:443".parse().unwrap());
    call_to_end(lying.connect().await.unwrap(), RPC, request("")).await;
    assert_eq!(
        attributes(&telemetry.span().await.attributes)["server.address"],
        "bank.example"
    );
    assert!(!format!("{:?}", telemetry.metrics()).contains("bank.example"));
    drop(telemetry);

    let telemetry = Telemetry::start();
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let lying = endpoint.origin(format!("http://{}:443", "x".repeat(8000)).parse().unwrap());
    call_to_end(lying.connect().await.unwrap(), RPC, request("")).await;
    let found = attributes(&telemetry.span().await.attributes);
    assert_eq!((found["server.address"].len(), &*found["server.port"]), (256, "443"));
}

#[tokio::test]
async fn a_deadline_that_nobody_can_keep_counts_as_a_failure() {
    let telemetry = Telemetry::start();
    let obedient = Obedient::default();
    let server = serve_with(Server::builder().layer(ServerLayer::new()), obedient.routes()).await;
    let mut impatient = request("wait");
    impatient.metadata_mut().insert("grpc-timeout", "1n".parse().unwrap());
    call_to_end(server.channel().await, RPC, impatient).await;
    let points = telemetry.durations(1).await;
    assert_eq!(points[0]["error.type"], "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn who_poses_as_an_exporter_hides_calls_of_a_collectors_services_alone() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        Obedient::default().routes(),
    )
    .await;
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let posing = endpoint.user_agent("OTel-OTLP-Exporter-Rust/0.33.1").unwrap();
    let channel = posing.connect().await.unwrap();
    call_to_end(
        channel.clone(),
        "opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request(""),
    )
    .await;
    call_to_end(channel, RPC, request("")).await;
    assert_eq!(telemetry.span().await.name, RPC);
    telemetry.durations(1).await;
}

/// Returns what is logged about it.
#[test]
fn a_malformed_request_writes_no_log() {
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let (mut driven, ready) = Driven::start(env!("CARGO_BIN_EXE_driven"), &["multi_thread"], variables);
    assert_eq!(ready, "ready");
    let address = driven.tell("serve").parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // Not so much that what is written about it would fill the pipe, which nobody reads until
        // the end.
        let many = "x,".repeat(100);
        let long = format!("key={}", "x".repeat(9000));
        let no_text = "key=%ff,%ff=1,key".repeat(5);
        for baggage in [&*many, &long, &no_text, ";;;,===", ""] {
            let lies = [
                ("baggage", baggage),
                ("traceparent", "00-x"),
                ("tracestate", "==,,="),
                ("grpc-timeout", "-1S"),
            ];
            let channel = channel_to(address).await;
            let (_, status) = call_to_end(channel, RPC, hostile(&lies)).await;
            assert_eq!(status.code(), Code::Ok);
        }
    });
    assert_eq!(driven.end(), [""; 0]);
}
