//! The options of `ServerLayer`, with annotated and plain services.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::serve_with;
use integration_tests::telemetry::{Shared, Telemetry, attributes};
use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{Instrumentation, RpcRequest, ServerLayer};
use otel_setup::testing::TestTelemetry;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const RPC: &str = "kinds.ServerStream/Call";

fn both() -> [Routes; 2] {
    let handler = ScriptedService::default();
    [Plain::routes(&handler), Annotated::routes(&handler)]
}

/// Returns a request with a `traceparent`, sampled (`01`) or not (`00`).
fn in_a_trace(flags: &str) -> Request<Message> {
    let mut request = request("later span");
    let traceparent = format!("00-{TRACE}-{PARENT}-{flags}");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    request
}

async fn call_in(layer: ServerLayer, routes: Routes, request: Request<Message>) {
    let server = serve_with(Server::builder().layer(layer), routes).await;
    let (_, status) = call_to_end(server.channel().await, RPC, request).await;
    assert_eq!(status.code(), Code::Ok);
}

mod public_endpoint {
    use super::*;

    fn assert_is_linked_to_the_caller(span: &SpanData) {
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        assert_ne!(span.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
        let [link] = &span.links[..] else {
            panic!("expected one link: {:?}", span.links)
        };
        assert_eq!(link.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
        assert_eq!(link.span_context.span_id(), SpanId::from_hex(PARENT).unwrap());
        assert!(link.span_context.is_remote());
    }

    fn assert_is_child_of_the_caller(span: &SpanData) {
        assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());
        assert_eq!(span.span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
        assert_eq!(span.links.len(), 0);
    }

    #[tokio::test]
    async fn starts_a_trace_with_a_link_to_the_caller() {
        for flags in ["00", "01"] {
            for routes in both() {
                let telemetry = Telemetry::start();
                call_in(ServerLayer::new().public_endpoint(), routes, in_a_trace(flags)).await;
                let spans = telemetry.spans(2).await;
                let [child, span] = &spans[..] else { unreachable!() };
                assert_is_linked_to_the_caller(span);
                assert!(span.span_context.is_sampled());
                // Spans of the handler belong to the new trace.
                assert_eq!(child.parent_span_id, span.span_context.span_id());
                assert_eq!(child.span_context.trace_id(), span.span_context.trace_id());
                telemetry.durations(1).await;
            }
        }
    }

    #[tokio::test]
    async fn has_no_link_without_a_remote_caller() {
        let telemetry = Telemetry::start();
        let [routes, _] = both();
        call_in(ServerLayer::new().public_endpoint(), routes, request("")).await;
        let span = telemetry.span().await;
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        assert_eq!(span.links.len(), 0);
    }

    #[tokio::test]
    async fn may_depend_on_the_request() {
        for (tenant, is_public) in [("ours", false), ("theirs", true), ("panic", true)] {
            let telemetry = Telemetry::start();
            let layer = ServerLayer::new().public_endpoint_if(|request: &RpcRequest<'_>| {
                let tenant = request.headers()["x-tenant"].to_str().unwrap();
                assert!(tenant != "panic", "as asked");
                tenant == "theirs"
            });
            let mut request = in_a_trace("01");
            request.metadata_mut().insert("x-tenant", tenant.parse().unwrap());
            let [_, routes] = both();
            call_in(layer, routes, request).await;
            let span = telemetry.spans(2).await.remove(1);
            if is_public {
                assert_is_linked_to_the_caller(&span);
            } else {
                assert_is_child_of_the_caller(&span);
            }
        }
    }
}

mod header_lists {
    use super::*;

    struct MetadataService;

    fn failure() -> Status {
        let mut metadata = MetadataMap::new();
        metadata.append("x-retry-after", MetadataValue::from_static("7"));
        metadata.append("x-retry-after", MetadataValue::from_static("8"));
        metadata.insert("x-secret", MetadataValue::from_static("secret"));
        metadata.insert_bin("why-bin", MetadataValue::from_bytes(&[1]));
        Status::with_metadata(Code::Internal, "torn", metadata)
    }

    #[tonic::async_trait]
    impl ServerStream for MetadataService {
        type CallStream = tokio_stream::Once<Result<Message, Status>>;

        async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
            if request.get_ref().text == "fail" {
                return Err(failure());
            }
            let mut response = Response::new(tokio_stream::once(Err(failure())));
            let metadata = response.metadata_mut();
            metadata.insert("x-served-by", MetadataValue::from_static("north"));
            metadata.insert("set-cookie", MetadataValue::from_static("secret"));
            Ok(response)
        }
    }

    fn attribute(name: &str, values: &[&'static str]) -> (String, Value) {
        let values = values.iter().map(|value| StringValue::from(*value)).collect();
        (name.to_owned(), Value::Array(Array::String(values)))
    }

    /// Makes an RPC, and returns the attributes with captured headers.
    async fn captured(layer: ServerLayer, text: &str) -> Vec<(String, Value)> {
        let telemetry = Telemetry::start();
        let layer = layer.known_methods([RPC]);
        let routes = Routes::new(ServerStreamServer::new(MetadataService));
        let server = serve_with(Server::builder().layer(layer), routes).await;
        let mut request = request(text);
        let metadata = request.metadata_mut();
        metadata.append("x-tenant", MetadataValue::from_static("a"));
        metadata.append("x-tenant", MetadataValue::from_static("b"));
        metadata.insert_bin("trace-bin", MetadataValue::from_bytes(&[0, 1]));
        metadata.insert("authorization", MetadataValue::from_static("secret"));
        let (_, status) = call_to_end(server.channel().await, RPC, request).await;
        assert_eq!(status.code(), Code::Internal);

        let span = telemetry.span().await;
        let mut captured: Vec<_> = span
            .attributes
            .into_iter()
            .map(|attribute| (attribute.key.to_string(), attribute.value))
            .collect();
        for (key, value) in &captured {
            assert!(!format!("{value:?}").contains("secret"), "{key}");
        }
        captured.retain(|(key, _)| key.contains("header.") || key.contains("trailer."));
        // Captured headers are not recorded on metrics.
        for point in telemetry.durations(1).await {
            assert_eq!(point.len(), 4);
        }
        captured
    }

    fn lists() -> ServerLayer {
        // HTTP header names are case-insensitive, and attribute names are lower case.
        ServerLayer::new()
            .request_headers(["X-Tenant", "trace-bin", "x-missing"])
            .response_headers(["x-served-by"])
            .response_trailers(["X-RETRY-AFTER", "why-bin"])
    }

    #[tokio::test]
    async fn capture_listed_headers() {
        assert_eq!(
            captured(lists(), "").await,
            [
                attribute("rpc.request.header.x-tenant", &["a", "b"]),
                attribute("rpc.request.header.trace-bin", &["AAE="]),
                attribute("rpc.response.header.x-served-by", &["north"]),
                attribute("rpc.response.trailer.x-retry-after", &["7", "8"]),
                attribute("rpc.response.trailer.why-bin", &["AQ=="]),
            ]
        );
    }

    #[tokio::test]
    async fn capture_trailers_of_trailers_only_responses() {
        assert_eq!(
            captured(lists(), "fail").await,
            [
                attribute("rpc.request.header.x-tenant", &["a", "b"]),
                attribute("rpc.request.header.trace-bin", &["AAE="]),
                attribute("rpc.response.trailer.x-retry-after", &["7", "8"]),
                attribute("rpc.response.trailer.why-bin", &["AQ=="]),
            ]
        );
    }

    #[tokio::test]
    async fn capture_nothing_by_default() {
        assert_eq!(captured(ServerLayer::new(), "").await, []);
        assert_eq!(captured(ServerLayer::new(), "fail").await, []);
    }

    /// Headers are captured even if the RPC reaches no handler.
    #[tokio::test]
    async fn capture_headers_of_an_interceptors_response() {
        let telemetry = Telemetry::start();
        let layer = InterceptorLayer::new(|_: Request<()>| Err(failure()));
        let server = Server::builder().layer(lists()).layer(layer);
        let server = serve_with(server, Routes::new(ServerStreamServer::new(MetadataService))).await;
        call_to_end(server.channel().await, RPC, request("")).await;
        let found = attributes(&telemetry.span().await.attributes);
        assert_eq!(found["rpc.response.trailer.x-retry-after"], r#"["7","8"]"#);
        assert_eq!(found.get("rpc.response.trailer.x-secret"), None);
    }
}

mod span_attributes {
    use super::*;

    fn agent(request: &RpcRequest<'_>) -> Option<KeyValue> {
        let agent = request.headers().get("x-agent")?.to_str().ok()?;
        Some(KeyValue::new("agent", agent.to_owned()))
    }

    #[tokio::test]
    async fn recorded_on_spans_only() {
        for routes in both() {
            let telemetry = Telemetry::start();
            let mut request = request("");
            request.metadata_mut().insert("x-agent", "curl".parse().unwrap());
            call_in(ServerLayer::new().span_attributes(agent), routes, request).await;
            assert_eq!(attributes(&telemetry.span().await.attributes)["agent"], "curl");
            assert!(!telemetry.durations(1).await[0].contains_key("agent"));
        }
    }

    #[tokio::test]
    async fn not_computed_for_a_non_recording_span() {
        for (flags, expected) in [("00", 0), ("01", 1)] {
            let telemetry = Telemetry::start();
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let layer = ServerLayer::new().span_attributes(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                []
            });
            let [routes, _] = both();
            call_in(layer, routes, in_a_trace(flags)).await;
            telemetry.durations(1).await;
            assert_eq!(asked.load(Ordering::Relaxed), expected);
        }
    }

    #[tokio::test]
    async fn none_if_the_function_panics() {
        for routes in both() {
            let telemetry = Telemetry::start();
            let layer = ServerLayer::new().span_attributes(|_| -> Vec<KeyValue> { panic!("as asked") });
            call_in(layer, routes, request("")).await;
            let span = telemetry.span().await;
            assert_eq!(span.name, RPC);
            assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
            assert_eq!(telemetry.durations(1).await[0]["rpc.status_code"], "OK");
            // The warning appears once per process, and is tested in `panics_logged_once.rs`.
            let exceptions = telemetry
                .logs()
                .into_iter()
                .filter(|log| log.event_name.is_some_and(|name| name.contains("exception")));
            assert_eq!(exceptions.count(), 0);
        }
    }
}

mod instrumentation {
    use super::*;

    #[tokio::test]
    async fn uses_only_the_given_providers() {
        for routes in [Plain::routes, Annotated::routes] {
            let global = Telemetry::start();
            let own = TestTelemetry::with_propagator(TraceContextPropagator::new());
            let layer = ServerLayer::new().instrumentation(own.instrumentation());
            let mut request = in_a_trace("01");
            request.get_mut().text.clear();
            call_in(layer, routes(&ScriptedService::default()), request).await;

            let span = own.spans(1).await.remove(0);
            assert_eq!(span.name, RPC);
            assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());
            assert_eq!(
                own.metrics().names(),
                ["rpc.server.active_requests", "rpc.server.call.duration"]
            );

            global.spans(0).await;
            global.durations(0).await;
        }
    }

    /// Without a span of its own, the RPC propagates its caller's span context.
    #[tokio::test]
    async fn without_an_sdk_propagates_the_callers_context() {
        let _turn = Telemetry::start();
        let none = opentelemetry::trace::noop::NoopTracerProvider::new();
        let seen = Shared::<Option<Context>>::default();
        let intercept = {
            let seen = Arc::clone(&seen);
            move |request: Request<()>| {
                *seen.lock().unwrap() = Some(Context::current());
                Ok(request)
            }
        };
        let own = Instrumentation::builder().tracer_provider(&none).build();
        let layer = ServerLayer::new().instrumentation(own);
        let server = Server::builder().layer(layer).layer(InterceptorLayer::new(intercept));
        let [_, routes] = both();
        let server = serve_with(server, routes).await;
        call_to_end(server.channel().await, RPC, in_a_trace("01")).await;
        let seen = seen.lock().unwrap().take().unwrap();
        assert_eq!(seen.span().span_context().span_id(), SpanId::from_hex(PARENT).unwrap());
    }
}

mod failures {
    use opentelemetry::trace::Status as SpanStatus;

    use super::*;

    fn is_failure(method: &str, code: Code) -> Option<bool> {
        assert_eq!(method, RPC);
        match code {
            Code::Ok | Code::NotFound | Code::Unavailable => Some(true),
            Code::Internal => Some(false),
            _ => None,
        }
    }

    #[tokio::test]
    async fn are_decided_by_method_and_code() {
        for (text, code, error) in [
            ("0", "OK", None),
            ("5", "NOT_FOUND", Some("NOT_FOUND")),
            ("13", "INTERNAL", None),
            ("14", "UNAVAILABLE", Some("UNAVAILABLE")),
            ("15", "DATA_LOSS", Some("DATA_LOSS")),
            ("3", "INVALID_ARGUMENT", None),
        ] {
            for routes in both() {
                let telemetry = Telemetry::start();
                let layer = ServerLayer::new().known_methods([RPC]).failures(is_failure);
                let server = serve_with(Server::builder().layer(layer), routes).await;
                // At the second RPC, the series exists.
                for _ in 0..2 {
                    call_to_end(server.channel().await, RPC, request(text)).await;
                }
                for span in telemetry.spans(2).await {
                    let recorded = attributes(&span.attributes);
                    assert_eq!(recorded["rpc.status_code"], code);
                    assert_eq!(recorded.get("error.type").map(String::as_str), error, "{code}");
                    let status = match error {
                        Some(_) => SpanStatus::error(format!("as asked: {text}")),
                        None => SpanStatus::Unset,
                    };
                    assert_eq!(span.status, status, "{code}");
                }
                let [(point, 2, _)] = &telemetry.metrics().durations()[..] else {
                    panic!("{code}: expected one point")
                };
                assert_eq!(point["rpc.status_code"], code);
                assert_eq!(point.get("error.type").map(String::as_str), error, "{code}");
            }
        }
    }

    #[tokio::test]
    async fn a_panic_is_always_one() {
        for routes in both() {
            let telemetry = Telemetry::start();
            let layer = ServerLayer::new().failures(|_, _| Some(false));
            let server = serve_with(Server::builder().layer(layer), routes).await;
            call_to_end(server.channel().await, RPC, request("panic")).await;
            let span = telemetry.span().await;
            assert_eq!(attributes(&span.attributes)["error.type"], "panic");
            assert_eq!(span.status, SpanStatus::error("as asked"));
        }
    }
}
