//! Custom span attributes: from `fields(…)`, and added by the handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use integration_tests::telemetry::Telemetry;
use opentelemetry::trace::get_active_span;
use opentelemetry::{Array, KeyValue, Value};
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
struct Service {
    zone: &'static str,
    evaluated: Arc<AtomicUsize>,
}

impl Service {
    fn zone(&self) -> &str {
        self.evaluated.fetch_add(1, Ordering::Relaxed);
        self.zone
    }
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Service {
    #[traced(fields(
        message.text = request.get_ref().text.as_str(),
        message.length = request.get_ref().text.len(),
        message.words = request.get_ref().text.split(' ').collect::<Vec<_>>(),
        "zone-of-service" = self.zone(),
        is.empty = request.get_ref().text.is_empty(),
        trace.hint = request.metadata().get("x-hint").and_then(|hint| hint.to_str().ok()),
        absent = None::<f64>,
    ))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Service {
    type CallStream = tokio_stream::Once<Result<Message, Status>>;

    #[traced(fields(broken = request.get_ref().text.parse::<u32>().expect("the test sends no number")))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        get_active_span(|span| {
            span.set_attribute(KeyValue::new("from.inside", 1));
            span.add_event("looked.up", vec![KeyValue::new("cache.hit", true)]);
        });
        Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
    }
}

#[tokio::test]
async fn fields_are_typed_and_can_use_request_and_service() {
    let telemetry = Telemetry::start();
    let service = Service {
        zone: "north",
        ..Service::default()
    };
    let server = serve(Routes::new(UnaryServer::new(service))).await;
    let mut request = Request::new(Message::from("a b"));
    request.metadata_mut().insert("x-hint", "warm".parse().unwrap());
    UnaryClient::new(server.channel().await).call(request).await.unwrap();

    let span = telemetry.span().await;
    let value = |name: &str| {
        span.attributes
            .iter()
            .find(|found| found.key.as_str() == name)
            .map(|found| &found.value)
    };
    assert_eq!(value("message.text"), Some(&Value::from("a b")));
    assert_eq!(value("message.length"), Some(&Value::I64(3)));
    assert_eq!(
        value("message.words"),
        Some(&Value::Array(Array::String(vec!["a".into(), "b".into()])))
    );
    assert_eq!(value("zone-of-service"), Some(&Value::from("north")));
    assert_eq!(value("is.empty"), Some(&Value::Bool(false)));
    assert_eq!(value("trace.hint"), Some(&Value::from("warm")));
    assert_eq!(value("absent"), None);
    // Fields are recorded on spans, and not on metrics.
    let metrics = telemetry.metrics();
    let [(point, 1, _)] = &metrics.durations()[..] else {
        panic!("{metrics:?}")
    };
    assert_eq!(
        point.keys().collect::<Vec<_>>(),
        ["rpc.method", "rpc.status_code", "rpc.system.name"]
    );
}

#[tokio::test]
async fn fields_are_not_evaluated_for_a_non_recording_span() {
    let telemetry = Telemetry::start();
    let service = Service::default();
    let server = serve(Routes::new(UnaryServer::new(service.clone()))).await;
    let mut client = UnaryClient::new(server.channel().await);
    let mut request = Request::new(Message::from(""));
    let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    request.metadata_mut().insert("traceparent", unsampled.parse().unwrap());
    client.call(request).await.unwrap();
    assert_eq!(service.evaluated.load(Ordering::Relaxed), 0);
    telemetry.spans(0).await;

    client.call(Message::from("")).await.unwrap();
    assert_eq!(service.evaluated.load(Ordering::Relaxed), 1);
    telemetry.span().await;
}

#[tokio::test]
async fn panicking_fields_are_omitted_and_handlers_can_add_attributes() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ServerStreamServer::new(Service::default()))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::from("no number")).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().text, "no number");
    assert!(replies.message().await.unwrap().is_none());

    let span = telemetry.span().await;
    let found = integration_tests::telemetry::attributes(&span.attributes);
    assert_eq!(found.get("broken"), None);
    assert_eq!(found["rpc.status_code"], "OK");
    assert_eq!(found["from.inside"], "1");
    assert_eq!(span.events.len(), 1);
    assert_eq!(span.events[0].name, "looked.up");
    // The panic is a warning, not an exception event. `panics_logged_once.rs` tests its text.
    let [told] = &telemetry.logs()[..] else {
        panic!("expected one log record: {:?}", telemetry.logs())
    };
    assert_eq!(told.severity, Some("WARN"));
    let body = told.body.as_deref().unwrap();
    assert!(
        body.starts_with("`fields` panicked, so the span is recorded without them: the test sends no number"),
        "{body}"
    );
}
