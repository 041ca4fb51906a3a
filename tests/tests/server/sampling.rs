//! The attributes that a sampler receives, and the effect of its decision.

use std::sync::{Arc, Mutex};

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::server::serve;
use integration_tests::telemetry::{RecordingSampler, Shared, expected};
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SamplingDecision, SdkTracerProvider};
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

struct Sampled(Shared<Vec<bool>>);

#[traced_service]
#[tonic::async_trait]
impl Unary for Sampled {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let context = Context::current();
        let span = context.span();
        self.0
            .lock()
            .unwrap()
            .push(span.is_recording() || span.span_context().is_sampled());
        Ok(Response::new(request.into_inner()))
    }
}

#[test]
fn sampler_receives_name_kind_method_and_server() {
    in_own_process_async(async {
        let sampler = RecordingSampler::new(SamplingDecision::Drop);
        let spans = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_sampler(sampler.clone())
            .with_simple_exporter(spans.clone())
            .build();
        global::set_tracer_provider(provider);
        let seen = Shared::default();
        let server = serve(Routes::new(UnaryServer::new(Sampled(Arc::clone(&seen))))).await;
        UnaryClient::new(server.channel().await)
            .call(Message::from(""))
            .await
            .unwrap();

        let port = server.address.port().to_string();
        let asked = (
            "kinds.Unary/Call".to_owned(),
            SpanKind::Server,
            expected([
                ("rpc.system.name", "grpc"),
                ("rpc.method", "kinds.Unary/Call"),
                ("server.address", "127.0.0.1"),
                ("server.port", &port),
            ]),
        );
        assert_eq!(*sampler.decisions.lock().unwrap(), [asked]);
        assert_eq!(*Mutex::lock(&seen).unwrap(), [false]);
        assert_eq!(spans.get_finished_spans().unwrap().len(), 0);
    });
}
