//! The options of `ClientLayer`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use integration_tests::client::{Kind, call, endpoint};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, serve};
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::filter::{any, health_check, method, not, service};
use otel_runtime::{ClientLayer, Filter, TracedChannel};
use otel_setup::testing::TestTelemetry;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};
use tower::Layer;

fn channel(server: &RunningServer, layer: &ClientLayer) -> TracedChannel {
    layer.layer(endpoint(server.address).connect_lazy())
}

fn layer() -> ClientLayer {
    ClientLayer::new("greeter.example:50051")
}

fn caller(flags: TraceFlags) -> Context {
    let trace = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let span = SpanId::from_hex("00f067aa0ba902b7").unwrap();
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, TraceState::default()))
}

mod filters {
    use super::*;

    #[tokio::test]
    async fn filtered_rpc_is_not_recorded_but_propagates_the_current_trace() {
        let telemetry = Telemetry::start();
        let scripted = ScriptedService::default();
        let server = serve(scripted.routes()).await;
        let channel = channel(&server, &layer().filter(not(service("kinds.Unary"))));
        let mut request = Request::new("hello");
        let old = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        request.metadata_mut().insert("traceparent", old.parse().unwrap());
        let call = call(channel, Kind::Unary, request).with_context(caller(TraceFlags::SAMPLED));
        call.await.unwrap();

        telemetry.spans(0).await;
        assert_eq!(telemetry.metrics().client_duration_count(), 0);
        assert_eq!(telemetry.metrics().client_active_request_count(), 0);
        assert_eq!(
            scripted.only_metadata().get("traceparent").unwrap(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        );
    }

    #[tokio::test]
    async fn filtered_rpc_without_a_current_trace_injects_nothing() {
        let telemetry = Telemetry::start();
        let scripted = ScriptedService::default();
        let server = serve(scripted.routes()).await;
        let channel = channel(&server, &layer().filter(health_check()));
        call(channel, Kind::Unary, Request::new("hello")).await.unwrap();
        telemetry.spans(0).await;
        assert_eq!(scripted.only_metadata().get("traceparent"), None);
    }

    #[tokio::test]
    async fn several_filters_must_all_match() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let layer = layer()
            .filter(not(method("kinds.Bidi/Call")))
            .filter(any([service("kinds.Bidi"), service("kinds.Unary")]))
            .filter(Filter::new(|_| panic!("one that panics records")));
        let channel = channel(&server, &layer);
        for kind in Kind::ALL {
            call(channel.clone(), kind, Request::new("hello")).await.unwrap();
        }
        assert_eq!(telemetry.span().await.name, "kinds.Unary/Call");
        assert_eq!(telemetry.metrics().client_duration_count(), 1);
    }
}

mod headers {
    use super::*;

    struct MetadataService;

    fn metadata(name: &'static str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.append(name, MetadataValue::from_static("one"));
        metadata.append(name, MetadataValue::from_static("two"));
        metadata.insert("x-secret", MetadataValue::from_static("secret"));
        metadata.insert_bin("trace-bin", MetadataValue::from_bytes(&[0, 1]));
        metadata
    }

    #[tonic::async_trait]
    impl Unary for MetadataService {
        async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
            if request.get_ref().text == "fail" {
                let trailers = metadata("x-retry-after");
                return Err(Status::with_metadata(Code::Internal, "failed", trailers));
            }
            let mut response = Response::new(request.into_inner());
            *response.metadata_mut() = metadata("x-served-by");
            Ok(response)
        }
    }

    fn request(text: &'static str) -> Request<&'static str> {
        let mut request = Request::new(text);
        *request.metadata_mut() = metadata("x-tenant");
        request
            .metadata_mut()
            .insert("authorization", MetadataValue::from_static("secret"));
        request
    }

    /// Returns the attributes with captured headers.
    fn captured(span: &SpanData) -> Vec<(&str, Vec<&str>)> {
        let captured = span.attributes.iter().filter_map(|attribute| match &attribute.value {
            Value::Array(Array::String(values)) => {
                let values = values.iter().map(StringValue::as_str).collect();
                Some((attribute.key.as_str(), values))
            }
            _ => None,
        });
        captured.collect()
    }

    #[tokio::test]
    async fn listed_headers_are_captured_and_no_others() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(MetadataService))).await;
        let layer = layer()
            .request_headers(["X-Tenant", "trace-bin", "x-missing"])
            .response_headers(["X-Served-By", "trace-bin"])
            .response_trailers(["X-Retry-After", "trace-bin"]);
        let channel = channel(&server, &layer);
        call(channel.clone(), Kind::Unary, request("hello")).await.unwrap();
        call(channel, Kind::Unary, request("fail")).await.unwrap_err();

        let spans = telemetry.spans(2).await;
        let both = ["one", "two"];
        let of_request = [
            ("rpc.request.header.x-tenant", both.to_vec()),
            ("rpc.request.header.trace-bin", vec!["AAE="]),
        ];
        let of_response = [
            ("rpc.response.header.x-served-by", both.to_vec()),
            ("rpc.response.header.trace-bin", vec!["AAE="]),
        ];
        let of_failure = [
            ("rpc.response.trailer.x-retry-after", both.to_vec()),
            ("rpc.response.trailer.trace-bin", vec!["AAE="]),
        ];
        assert_eq!(captured(&spans[0]), [of_request.clone(), of_response].concat());
        assert_eq!(captured(&spans[1]), [of_request, of_failure].concat());
        for span in &spans {
            assert!(!format!("{span:?}").contains("secret"));
        }
        let metrics = format!("{:?}", telemetry.metrics());
        assert!(!metrics.contains("x-tenant") && !metrics.contains("secret"));
    }

    #[tokio::test]
    async fn no_headers_are_captured_by_default() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(MetadataService))).await;
        let channel = channel(&server, &layer());
        call(channel, Kind::Unary, request("hello")).await.unwrap();
        assert_eq!(captured(&telemetry.span().await), []);
    }
}

mod span_attributes {
    use super::*;

    #[tokio::test]
    async fn computed_from_the_request_and_recorded_on_spans_only() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let layer = layer().span_attributes(|request| {
            let agent = request
                .headers()
                .get("x-tenant")
                .map(|tenant| tenant.to_str().unwrap().to_owned());
            [
                KeyValue::new("tenant", agent.unwrap_or_default()),
                KeyValue::new("method", format!("{} of {}", request.method(), request.service())),
            ]
        });
        let mut request = Request::new("hello");
        request
            .metadata_mut()
            .insert("x-tenant", MetadataValue::from_static("a"));
        call(channel(&server, &layer), Kind::Unary, request).await.unwrap();

        let found = attributes(&telemetry.span().await.attributes);
        assert_eq!(found["tenant"], "a");
        assert_eq!(found["method"], "Call of kinds.Unary");
        let [(point, 1, _)] = &telemetry.metrics().client_durations()[..] else {
            panic!("expected one point")
        };
        assert!(!point.contains_key("tenant"));
    }

    #[tokio::test]
    async fn not_computed_for_a_non_recording_span() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let evaluated = Arc::new(AtomicUsize::new(0));
        let layer = layer().span_attributes({
            let evaluated = Arc::clone(&evaluated);
            move |_| {
                evaluated.fetch_add(1, Ordering::Relaxed);
                []
            }
        });
        let channel = channel(&server, &layer);
        let unsampled = call(channel.clone(), Kind::Unary, Request::new("hello"));
        unsampled.with_context(caller(TraceFlags::NOT_SAMPLED)).await.unwrap();
        assert_eq!(evaluated.load(Ordering::Relaxed), 0);
        call(channel, Kind::Unary, Request::new("hello")).await.unwrap();
        assert_eq!(evaluated.load(Ordering::Relaxed), 1);
        telemetry.span().await;
    }

    #[tokio::test]
    async fn none_if_the_function_panics() {
        fn attributes_of(request: &otel_runtime::RpcRequest<'_>) -> Vec<KeyValue> {
            panic!("no attributes for {}", request.path())
        }
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let channel = channel(&server, &layer().span_attributes(attributes_of));
        call(channel, Kind::Unary, Request::new("hello")).await.unwrap();
        let found = attributes(&telemetry.span().await.attributes);
        assert_eq!(found["rpc.status_code"], "OK");
        assert_eq!(found.len(), 5, "{found:?}");
    }
}

mod instrumentation {
    use super::*;

    /// A propagator with its own headers: `parent: TRACE SPAN`, and `parent-state`, never written.
    #[derive(Debug)]
    struct Homemade([String; 2]);

    impl TextMapPropagator for Homemade {
        fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
            let span = context.span().span_context().clone();
            injector.set("parent", format!("{} {}", span.trace_id(), span.span_id()));
        }

        fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
            context.clone()
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&self.0)
        }
    }

    #[tokio::test]
    async fn uses_the_given_providers_and_propagator() {
        let global = Telemetry::start();
        let own = TestTelemetry::with_propagator(Homemade(["parent".to_owned(), "parent-state".to_owned()]));
        let scripted = ScriptedService::default();
        let server = serve(scripted.routes()).await;
        let channel = channel(&server, &layer().instrumentation(own.instrumentation()));
        let mut request = Request::new("hello");
        for field in ["parent", "parent-state", "x-other"] {
            request.metadata_mut().insert(field, MetadataValue::from_static("old"));
        }
        call(channel, Kind::ServerStream, request).await.unwrap();

        let span = own.spans(1).await.remove(0);
        assert_eq!(span.name, "kinds.ServerStream/Call");
        assert_eq!(span.instrumentation_scope.name(), "otel-runtime");
        let metadata = scripted.only_metadata();
        let context = &span.span_context;
        let parent = format!("{} {}", context.trace_id(), context.span_id());
        assert_eq!(metadata.get("parent").unwrap(), parent.as_str());
        assert_eq!(metadata.get("traceparent"), None);
        // A value left in the metadata would belong to another span.
        assert_eq!(metadata.get("parent-state"), None);
        assert_eq!(metadata.get("x-other").unwrap(), "old");

        assert_eq!(
            own.metrics().names(),
            ["rpc.client.active_requests", "rpc.client.call.duration"]
        );

        global.spans(0).await;
        assert_eq!(global.metrics().client_duration_count(), 0);
    }
}

#[tokio::test]
async fn clones_of_a_layer_can_have_different_options() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let records = layer();
    let records_nothing = records.clone().filter(Filter::new(|_| false));
    for layer in [records, records_nothing] {
        call(channel(&server, &layer), Kind::Unary, Request::new("hello"))
            .await
            .unwrap();
    }
    telemetry.span().await;
}

mod failures {
    use opentelemetry::trace::Status as SpanStatus;

    use super::*;

    /// Asserts the outcome of the only RPC.
    async fn assert_recorded(telemetry: &Telemetry, code: &str, error: Option<&str>, status: &SpanStatus) {
        let span = telemetry.span().await;
        let recorded = attributes(&span.attributes);
        assert_eq!(recorded["rpc.status_code"], code);
        assert_eq!(recorded.get("error.type").map(String::as_str), error, "{code}");
        assert_eq!(span.status, *status, "{code}");
        let [(point, 1, _)] = &telemetry.metrics().client_durations()[..] else {
            panic!("{code}: expected one point")
        };
        assert_eq!(point["rpc.status_code"], code);
        assert_eq!(point.get("error.type").map(String::as_str), error, "{code}");
    }

    #[tokio::test]
    async fn are_decided_by_method_and_code() {
        let server = serve(ScriptedService::default().routes()).await;
        let layer = layer().failures(|method, code| match (method, code) {
            ("kinds.Unary/Call", Code::NotFound) => Some(false),
            (_, Code::Ok) => Some(true),
            _ => None,
        });
        for (text, code, error, status) in [
            ("0", "OK", None, SpanStatus::Unset),
            ("5", "NOT_FOUND", None, SpanStatus::Unset),
            ("13", "INTERNAL", Some("INTERNAL"), SpanStatus::error("as asked: 13")),
        ] {
            let telemetry = Telemetry::start();
            let _ = call(channel(&server, &layer), Kind::Unary, Request::new(text)).await;
            assert_recorded(&telemetry, code, error, &status).await;
        }
    }

    #[tokio::test]
    async fn may_leave_out_lost_connections() {
        let telemetry = Telemetry::start();
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let layer = layer().failures(|_, code| (code == Code::Unavailable).then_some(false));
        let channel = layer.layer(endpoint(closed).connect_lazy());
        call(channel, Kind::Unary, Request::new("")).await.unwrap_err();
        assert_recorded(&telemetry, "UNAVAILABLE", None, &SpanStatus::Unset).await;
    }
}
