//! Without an SDK, `ClientLayer` records nothing, but propagates the current context.

use integration_tests::client::{Kind, call, connect};
use integration_tests::own_process::in_own_process_async;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use opentelemetry::{Context, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const LEFT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Calls in this context with a `traceparent` already set, and returns the received metadata.
async fn sent(context: Context) -> MetadataMap {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let service = ScriptedService::default();
    let server = serve(service.routes()).await;
    let mut request = Request::new("hello");
    request.metadata_mut().insert("traceparent", LEFT.parse().unwrap());
    let channel = connect(&server).await;
    call(channel, Kind::Unary, request).with_context(context).await.unwrap();
    service.only_metadata()
}

#[test]
fn current_context_is_injected() {
    in_own_process_async(async {
        let (trace, span) = (TraceId::from_hex(TRACE).unwrap(), SpanId::from_hex(PARENT).unwrap());
        let caller = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
        let metadata = sent(Context::new().with_remote_span_context(caller)).await;
        let sent: Vec<_> = metadata.get_all("traceparent").iter().collect();
        assert_eq!(sent, [format!("00-{TRACE}-{PARENT}-01").as_str()]);
    });
}

#[test]
fn request_is_unchanged_without_a_current_context() {
    in_own_process_async(async {
        let metadata = sent(Context::new()).await;
        let sent: Vec<_> = metadata.get_all("traceparent").iter().collect();
        assert_eq!(sent, [LEFT]);
    });
}

#[test]
fn span_of_the_caller_is_not_modified() {
    in_own_process_async(async {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let own = Context::new().with_span(provider.tracer("of the caller").start("own"));
        let id = own.span().span_context().span_id();
        let metadata = sent(own.clone()).await;
        assert!(
            metadata
                .get("traceparent")
                .unwrap()
                .to_str()
                .unwrap()
                .contains(&id.to_string())
        );

        assert_eq!(spans.get_finished_spans().unwrap().len(), 0);
        own.span().end();
        let [span] = &spans.get_finished_spans().unwrap()[..] else {
            panic!("expected one span")
        };
        assert_eq!(span.attributes, []);
    });
}

#[test]
fn all_kinds_and_outcomes_work() {
    in_own_process_async(async {
        let service = ScriptedService::default();
        let server = serve(service.routes_of_streams()).await;
        let channel = connect(&server).await;
        for kind in Kind::ALL {
            assert_eq!(call(channel.clone(), kind, Request::new("hello")).await.unwrap(), 1);
            for text in ["5", "later 5"] {
                let status = call(channel.clone(), kind, Request::new(text)).await.unwrap_err();
                assert_eq!(status.code(), Code::NotFound, "{kind:?}");
            }
            tokio::select! {
                result = call(channel.clone(), kind, Request::new("later wait")) => panic!("it does not end: {result:?}"),
                () = service.waits() => {}
            }
        }
    });
}
