//! The influence of untrusted callers: each claim of docs/trust.md, tested over a socket.

use std::sync::{Arc, Mutex};

use integration_tests::child::DrivenProcess;
use integration_tests::client::{self, Kind};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
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
/// The default limit of hyper, below tonic, on the total size of a request's headers.
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

/// A service that calls the next one.
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

/// The place of the option `public_endpoint`.
#[derive(Clone, Copy, Debug)]
enum PublicEndpoint {
    Nowhere,
    OnAttribute,
    OnLayer,
}

const UNTRUSTED: [PublicEndpoint; 2] = [PublicEndpoint::OnAttribute, PublicEndpoint::OnLayer];

/// The observable effects of an RPC.
struct Outcome {
    spans: Vec<SpanData>,
    /// The context of the handler.
    seen: Context,
    /// The headers that the next service receives.
    forwarded: MetadataMap,
}

/// Makes an RPC. The sampler records only RPCs of sampled callers, much as in production.
async fn call(
    public_endpoint: PublicEndpoint,
    propagator: Option<TraceContextPropagator>,
    request: Request<Message>,
) -> Outcome {
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
    let backend = ScriptedService::default();
    let behind = serve(backend.routes()).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", behind.address)).unwrap();
    let seen = Arc::new(Mutex::new(None));
    let front = Front {
        seen: Arc::clone(&seen),
        behind: Some(UnaryClient::new(TracedChannel::connect_lazy(&endpoint))),
        instrumentation: instrumentation.clone(),
    };
    let routes = match public_endpoint {
        PublicEndpoint::OnAttribute => Routes::new(UnaryServer::new(Public(front))),
        PublicEndpoint::Nowhere | PublicEndpoint::OnLayer => Routes::new(UnaryServer::new(Private(front))),
    };
    let server = match public_endpoint {
        PublicEndpoint::OnLayer => {
            let layer = ServerLayer::new().public_endpoint().instrumentation(instrumentation);
            serve_with(Server::builder().layer(layer), routes).await
        }
        PublicEndpoint::Nowhere | PublicEndpoint::OnAttribute => serve(routes).await,
    };
    UnaryClient::new(server.channel().await).call(request).await.unwrap();
    let seen = seen.lock().unwrap().take().unwrap();
    Outcome {
        spans: spans.get_finished_spans().unwrap(),
        seen,
        forwarded: backend.only_metadata(),
    }
}

// Sampling and traces.

#[tokio::test]
async fn trusted_caller_can_enable_sampling() {
    let _turn = Telemetry::start();
    let outcome = call(
        PublicEndpoint::Nowhere,
        None,
        hostile(&[("traceparent", &traceparent("01"))]),
    )
    .await;
    let [span] = &outcome.spans[..] else {
        panic!("{:?}", outcome.spans)
    };
    assert_eq!(span.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
    assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());

    for public_endpoint in UNTRUSTED {
        let outcome = call(public_endpoint, None, hostile(&[("traceparent", &traceparent("01"))])).await;
        assert_eq!(outcome.spans.len(), 0, "{public_endpoint:?}");
    }
}

#[tokio::test]
async fn trusted_caller_can_disable_spans_but_not_metrics() {
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
async fn untrusted_callers_trace_is_linked_but_not_propagated() {
    let _turn = Telemetry::start();
    let lies = [("traceparent", &*traceparent("01")), ("tracestate", "forged=1")];
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
    let forwarded = outcome.forwarded.get("traceparent").unwrap().to_str().unwrap();
    assert!(forwarded.contains(TRACE));
    assert_eq!(outcome.forwarded.get("tracestate").unwrap(), "forged=1");

    for public_endpoint in UNTRUSTED {
        let outcome = call(public_endpoint, None, hostile(&lies)).await;
        let forwarded = outcome.forwarded.get("traceparent").unwrap().to_str().unwrap();
        assert!(
            !forwarded.contains(TRACE) && !forwarded.contains(PARENT),
            "{public_endpoint:?}"
        );
        let trace_state = outcome.forwarded.get("tracestate");
        assert!(
            trace_state.is_none_or(tonic::metadata::MetadataValue::is_empty),
            "{public_endpoint:?}"
        );
    }
}

#[tokio::test]
async fn untrusted_caller_with_many_parents_has_one_link() {
    for public_endpoint in UNTRUSTED {
        let telemetry = Telemetry::start();
        let front = Front {
            seen: Arc::default(),
            behind: None,
            instrumentation: Instrumentation::builder().build(),
        };
        let server = match public_endpoint {
            PublicEndpoint::OnLayer => {
                let routes = Routes::new(UnaryServer::new(Private(front)));
                serve_with(Server::builder().layer(ServerLayer::new().public_endpoint()), routes).await
            }
            _ => serve(Routes::new(UnaryServer::new(Public(front)))).await,
        };
        let parents: Vec<String> = (1..=99).map(|number| format!("00-{TRACE}-{number:016x}-01")).collect();
        let parents: Vec<_> = parents.iter().map(|parent| ("traceparent", &**parent)).collect();
        UnaryClient::new(server.channel().await)
            .call(hostile(&parents))
            .await
            .unwrap();
        let span = telemetry.span().await;
        assert_eq!(span.parent_span_id, SpanId::INVALID, "{public_endpoint:?}");
        assert_eq!(span.links.len(), 1, "{public_endpoint:?}");
    }
}

#[tokio::test]
async fn tracestate_is_limited_to_32_members_and_4096_bytes() {
    let _turn = Telemetry::start();
    let members: Vec<String> = (0..500).map(|number| format!("member{number}=x")).collect();
    let lies = [("traceparent", &*traceparent("01")), ("tracestate", &members.join(","))];
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
    let state = outcome.spans[0].span_context.trace_state().header();
    assert_eq!(state, members[..32].join(","));
    assert_eq!(outcome.forwarded.get("tracestate").unwrap().to_str().unwrap(), state);

    let members: Vec<String> = (10..40).map(|number| format!("{number}={}", "x".repeat(250))).collect();
    let parent = traceparent("01");
    // Send the members in one header line, and in one line each.
    for lines in [vec![members.join(",")], members.clone()] {
        let mut lies = vec![("traceparent", &*parent)];
        lies.extend(lines.iter().map(|line| ("tracestate", &**line)));
        let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
        let state = outcome.spans[0].span_context.trace_state().header();
        assert_eq!(state, members[..16].join(","));
        assert!(state.len() <= 4096 && state.len() + members[16].len() + 1 > 4096);
        assert_eq!(outcome.forwarded.get("tracestate").unwrap().to_str().unwrap(), state);
    }
}

// Baggage.

#[tokio::test]
async fn baggage_of_untrusted_callers_is_propagated_but_not_recorded() {
    for public_endpoint in [
        PublicEndpoint::Nowhere,
        PublicEndpoint::OnAttribute,
        PublicEndpoint::OnLayer,
    ] {
        let telemetry = Telemetry::start();
        let lies = [
            ("traceparent", &*traceparent("01")),
            ("baggage", "user.id=root,admin=true"),
        ];
        let outcome = call(public_endpoint, None, hostile(&lies)).await;
        assert_eq!(
            outcome.seen.baggage().get("admin").unwrap().as_str(),
            "true",
            "{public_endpoint:?}"
        );
        let forwarded = outcome.forwarded.get("baggage").unwrap().to_str().unwrap();
        assert!(forwarded.contains("admin=true"), "{public_endpoint:?}: {forwarded}");

        let recorded = format!("{:?} {:?}", outcome.spans, telemetry.metrics());
        assert!(
            !recorded.contains("admin") && !recorded.contains("root"),
            "{public_endpoint:?}"
        );
    }
}

#[tokio::test]
async fn no_baggage_without_its_propagator() {
    let _turn = Telemetry::start();
    let lies = [("traceparent", &*traceparent("01")), ("baggage", "admin=true")];
    let outcome = call(
        PublicEndpoint::Nowhere,
        Some(TraceContextPropagator::new()),
        hostile(&lies),
    )
    .await;
    assert!(outcome.seen.baggage().is_empty());
    assert!(outcome.forwarded.get("baggage").is_none());
    assert_eq!(TraceContextPropagator::new().fields().count(), 2);
}

#[tokio::test]
async fn extracted_baggage_is_limited_to_64_members_and_8192_bytes() {
    let _turn = Telemetry::start();
    let many: Vec<String> = (0..500).map(|number| format!("key{number}=x")).collect();
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&[("baggage", &many.join(","))])).await;
    assert_eq!(outcome.seen.baggage().len(), 64);

    let long = format!("key={}", "x".repeat(8192));
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&[("baggage", &long)])).await;
    assert!(outcome.seen.baggage().is_empty());
    assert!(outcome.forwarded.get("baggage").is_none());
    // The limit also applies to several header lines that are each short enough.
    let line = |key| format!("{key}={}", "x".repeat(4092));
    let lines = [line("ab"), line("cd"), line("ef")];
    let lines: Vec<_> = lines.iter().map(|line| ("baggage", &**line)).collect();
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lines)).await;
    let seen = outcome.seen.baggage();
    assert!(seen.get("ab").is_some() && seen.get("cd").is_some() && seen.get("ef").is_none());
}

/// Percent-encoding triples the baggage, which could exceed the header limit of the next service.
#[tokio::test]
async fn callers_baggage_cannot_make_outgoing_calls_fail() {
    let _turn = Telemetry::start();
    let member = |number| format!("key{number}={}", "\"".repeat(1000));
    let baggage: Vec<String> = (0..8).map(member).collect();
    let state: Vec<String> = (10..35).map(|number| format!("{number}={}", "x".repeat(250))).collect();
    let lies = [
        ("traceparent", &*traceparent("01")),
        ("tracestate", &state.join(",")),
        ("baggage", &baggage.join(",")),
    ];
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
    assert_eq!(outcome.seen.baggage().len(), 8);
    let forwarded = outcome.forwarded.get("baggage").unwrap().to_str().unwrap();
    let members: Vec<&str> = forwarded.split(',').collect();
    assert_eq!(members.len(), 2, "as many as 8,192 bytes hold, each as a whole");
    for member in members {
        let (_, value) = member.split_once('=').unwrap();
        assert_eq!(value, "%22".repeat(1000));
    }
}

/// An encoded separator in a property is decoded, and could add members.
#[tokio::test]
async fn injected_baggage_is_limited_to_64_members() {
    let _turn = Telemetry::start();
    let outcome = call(
        PublicEndpoint::Nowhere,
        None,
        hostile(&[("baggage", &format!("key=1;{}", "%2Cx".repeat(500)))]),
    )
    .await;
    let forwarded = outcome.forwarded.get("baggage").unwrap().to_str().unwrap();
    assert_eq!(forwarded.split(',').count(), 64);
}

/// A custom propagator that extracts lists unlimited, and injects one with very many members.
#[derive(Debug, Default)]
struct Wordy(Shared<Vec<String>>);

const LISTS: [(&str, usize, usize); 2] = [("tracestate", 32, 4096), ("baggage", 64, 8192)];

/// Returns a list of short members, and one of long members.
fn members() -> [Vec<String>; 2] {
    let member = |number, length| format!("{number:03}={}", "x".repeat(length));
    let of_length = |length, count: u32| (0..count).map(|number| member(number, length)).collect();
    [of_length(1, 500), of_length(400, 24)]
}

/// Asserts that the first members within the limits were kept, each complete.
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

/// The limits apply to all propagators, not only to the SDK's.
#[tokio::test]
async fn limits_apply_to_custom_propagators() {
    let _turn = Telemetry::start();
    let service = ScriptedService::default();
    let read = Shared::default();
    let wordy = Instrumentation::builder().propagator(Wordy(Arc::clone(&read))).build();
    let layer = ServerLayer::new().instrumentation(wordy.clone());
    let server = serve_with(Server::builder().layer(layer), service.routes()).await;
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

    let behind = ScriptedService::default();
    let server = serve(behind.routes()).await;
    let layer = ClientLayer::new("here").instrumentation(wordy);
    let channel = layer.layer(server.channel().await);
    client::call(channel, Kind::Unary, Request::new("")).await.unwrap();
    let forwarded = behind.only_metadata();
    for (list, members) in LISTS.into_iter().zip(members()) {
        assert_kept(forwarded.get(list.0).unwrap().to_str().unwrap(), &members, list);
    }
}

/// Returns the headers injected with a propagator, if baggage and tracestate exceed the limits.
async fn written_by(propagator: impl TextMapPropagator + Send + Sync + 'static) -> MetadataMap {
    let behind = ScriptedService::default();
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
async fn limits_apply_to_jaeger_and_xray() {
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

// Headers.

#[tokio::test]
async fn unlisted_headers_are_not_recorded() {
    for public_endpoint in [
        PublicEndpoint::Nowhere,
        PublicEndpoint::OnAttribute,
        PublicEndpoint::OnLayer,
    ] {
        let telemetry = Telemetry::start();
        let secrets = [
            ("traceparent", &*traceparent("01")),
            ("authorization", "Bearer s3cret"),
            ("cookie", "session=s3cret"),
            ("x-tenant-2", "s3cret"),
            ("x-tenant", "blue"),
        ];
        let outcome = call(public_endpoint, None, hostile(&secrets)).await;
        let recorded = format!("{:?} {:?} {:?}", outcome.spans, telemetry.metrics(), telemetry.logs());
        assert!(!recorded.contains("s3cret"), "{public_endpoint:?}: {recorded}");
    }
}

#[tokio::test]
async fn listed_headers_are_limited_to_16_values_of_1024_bytes() {
    let _turn = Telemetry::start();
    let values: Vec<String> = (0..40).map(|number| format!("tenant {number}")).collect();
    let long = "x".repeat(8000);
    let mut lies = vec![("traceparent", traceparent("01")), ("x-tenant", long.clone())];
    lies.extend(values.iter().map(|value| ("x-tenant", value.clone())));
    let lies: Vec<_> = lies.iter().map(|(name, value)| (*name, &**value)).collect();
    let outcome = call(PublicEndpoint::Nowhere, None, hostile(&lies)).await;
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
async fn request_with_too_many_headers_is_not_an_rpc() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        ScriptedService::default().routes(),
    )
    .await;
    let value = "x".repeat(MOST_HEADERS);
    let refused = call_to_end(server.channel().await, RPC, hostile(&[("x-tenant", &value)])).await;
    assert_ne!(refused.1.code(), Code::Ok);
    call_to_end(server.channel().await, RPC, request("")).await;
    // Only the smaller request is an RPC.
    telemetry.spans(1).await;
    telemetry.durations(1).await;
}

// Names.

#[test]
fn unknown_methods_share_one_name_in_metrics_and_spans() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let server = serve_with(
            Server::builder().layer(ServerLayer::new()),
            ScriptedService::default().routes(),
        )
        .await;
        let channel = server.channel().await;
        let long = "x".repeat(8000);
        let count = 200;
        for number in 0..count {
            // Include unknown methods of an existing service, and of a similar name.
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
        // By the conventions, this is an error of the server: alerts should exclude `_OTHER`.
        assert_eq!(point["error.type"], "UNIMPLEMENTED");
        // Series of other tests' RPCs stay, with the value 0.
        for (point, active) in metrics.active_requests() {
            assert!(["_OTHER", RPC].contains(&&*point["rpc.method"]), "{point:?}");
            assert_eq!(active, 0);
        }
    });
}

/// A sampler that records the longest span name.
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
async fn sampler_receives_256_bytes_of_an_unknown_path() {
    let _turn = Telemetry::start();
    let sampler = Longest::default();
    let tracers = SdkTracerProvider::builder().with_sampler(sampler.clone()).build();
    let instrumentation = Instrumentation::builder().tracer_provider(&tracers).build();
    let layer = ServerLayer::new().instrumentation(instrumentation);
    let server = serve_with(Server::builder().layer(layer), ScriptedService::default().routes()).await;
    let path = format!("a.B/{}", "x".repeat(8000));
    call_to_end(server.channel().await, &path, request("")).await;
    assert_eq!(*sampler.0.lock().unwrap(), path[..256]);
}

/// A server that answers every path, such as a proxy, makes methods known.
#[tokio::test]
async fn path_longer_than_256_bytes_is_never_known() {
    // A response with a body makes a method known.
    let any = || async { ([("content-type", "application/grpc")], [0; 5]) };
    let routes = ScriptedService::default().routes().into_axum_router().fallback(any);
    // Use a separate meter provider, because the time series would appear in other tests.
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
async fn callers_authority_is_recorded_on_spans_only() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        ScriptedService::default().routes(),
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
async fn impossible_deadline_counts_as_an_error() {
    let telemetry = Telemetry::start();
    let service = ScriptedService::default();
    let server = serve_with(Server::builder().layer(ServerLayer::new()), service.routes()).await;
    let mut impatient = request("wait");
    impatient.metadata_mut().insert("grpc-timeout", "1n".parse().unwrap());
    call_to_end(server.channel().await, RPC, impatient).await;
    let points = telemetry.durations(1).await;
    assert_eq!(points[0]["error.type"], "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn fake_exporter_can_hide_only_otlp_calls() {
    let telemetry = Telemetry::start();
    let server = serve_with(
        Server::builder().layer(ServerLayer::new()),
        ScriptedService::default().routes(),
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

/// Malformed metadata must not let callers fill the service's log.
#[test]
fn malformed_request_writes_no_log() {
    let variables = [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let (mut driven, ready) = DrivenProcess::start(env!("CARGO_BIN_EXE_driven"), &["multi_thread"], variables);
    assert_eq!(ready, "ready");
    let address = driven.send("serve").parse().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // Keep the request small: its log could fill the pipe, which is read only at the end.
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
