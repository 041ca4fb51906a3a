//! Without an SDK, the attribute records nothing, but propagates the caller's context.

use std::pin::Pin;
use std::sync::Arc;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::server::serve;
use integration_tests::telemetry::Shared;
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[derive(Default)]
struct Witness(Shared<Vec<Context>>);

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Witness {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        assert!(request.get_ref().text != "panic", "nobody records it, and it goes on");
        self.0.lock().unwrap().push(Context::current());
        Ok(Response::new(Box::pin(tokio_stream::iter([
            Ok(request.into_inner()),
            Err(Status::aborted("half-way")),
        ]))))
    }
}

#[test]
fn service_works_and_context_is_propagated() {
    in_own_process_async(async {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let seen: Shared<Vec<Context>> = Shared::default();
        let server = serve(Routes::new(ServerStreamServer::new(Witness(Arc::clone(&seen))))).await;
        let mut client = ServerStreamClient::new(server.channel().await);

        let mut request = Request::new(Message::from("hello"));
        request
            .metadata_mut()
            .insert("traceparent", format!("00-{TRACE}-{PARENT}-01").parse().unwrap());
        let mut replies = client.call(request).await.unwrap().into_inner();
        assert_eq!(replies.message().await.unwrap().unwrap().text, "hello");
        assert_eq!(replies.message().await.unwrap_err().message(), "half-way");

        let status = client.call(Message::from("panic")).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Cancelled, "{status}");

        let mut replies = client.call(Message::from("no parent")).await.unwrap().into_inner();
        assert_eq!(replies.message().await.unwrap().unwrap().text, "no parent");

        let seen: Vec<_> = seen
            .lock()
            .unwrap()
            .iter()
            .map(|context| context.span().span_context().clone())
            .collect();
        let [with_parent, without] = &seen[..] else {
            panic!("{seen:?}")
        };
        assert_eq!(with_parent.trace_id().to_string(), TRACE);
        assert_eq!(with_parent.span_id().to_string(), PARENT);
        assert!(with_parent.is_sampled());
        assert!(!without.is_valid());
    });
}

#[test]
fn span_of_a_caller_in_the_same_process_is_not_modified() {
    in_own_process_async(async {
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(spans.clone()).build();
        let own = Context::new().with_span(provider.tracer("of the caller").start("own"));

        let seen: Shared<Vec<Context>> = Shared::default();
        let service = Witness(Arc::clone(&seen));
        let response = service
            .call(Request::new(Message::from("")))
            .with_context(own.clone())
            .await;
        drop(response.unwrap());

        assert!(
            seen.lock().unwrap()[0].span().is_recording(),
            "the handler writes to it, too"
        );
        assert_eq!(spans.get_finished_spans().unwrap().len(), 0);
        own.span().end();
        let [span] = &spans.get_finished_spans().unwrap()[..] else {
            panic!("expected one span")
        };
        assert_eq!(span.attributes, []);
    });
}
