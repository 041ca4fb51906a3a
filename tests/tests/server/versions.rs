//! Versions that do not go together are logged: of OpenTelemetry, and of this crate.

use std::io;
use std::num::Wrapping;
use std::sync::{Arc, Mutex, PoisonError};

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::in_own_process_async;
use integration_tests::server::{serve, serve_with};
use integration_tests::telemetry::{Shared, Telemetry};
use otel_runtime::{ServerLayer, traced_service};
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower_layer::layer_fn;

/// The mark that each version of the crate finds in the requests of another one's layer.
type LayerMark = Wrapping<[&'static str; 2]>;

/// A service that keeps the marks of its requests.
#[derive(Clone, Default)]
struct Marked(Shared<Vec<Option<LayerMark>>>);

impl Marked {
    fn keep(&self, request: &Request<Message>) {
        self.0.lock().unwrap().push(request.extensions().get().copied());
    }
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Marked {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        self.keep(&request);
        Ok(Response::new(request.into_inner()))
    }
}

struct Plain;

#[tonic::async_trait]
impl Unary for Plain {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

/// Leaves the mark of another version's layer in a request.
fn mark<B>(mut request: http::Request<B>) -> http::Request<B> {
    request
        .extensions_mut()
        .insert::<LayerMark>(Wrapping(["otel-runtime", "9.9.9"]));
    request
}

async fn call_twice(server: &integration_tests::server::RunningServer) {
    let mut client = UnaryClient::new(server.channel().await);
    for _ in 0..2 {
        client.call(Message::from("hello")).await.unwrap();
    }
}

fn logs(telemetry: &Telemetry) -> Vec<(&'static str, String)> {
    let logs = telemetry.logs().into_iter();
    logs.map(|log| (log.severity.unwrap(), log.body.unwrap())).collect()
}

const TWICE: &str = concat!(
    "RPCs are recorded twice, by a layer of otel-runtime 9.9.9 and by otel-runtime ",
    env!("CARGO_PKG_VERSION"),
    "; use one version, `cargo tree --duplicates` shows which crates need which (logged once)"
);

#[test]
fn handler_behind_a_layer_of_another_version_is_logged_once() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let server = Server::builder().layer(layer_fn(|routes| tower::util::MapRequest::new(routes, mark)));
        let server = serve_with(server, Routes::new(UnaryServer::new(Marked::default()))).await;
        call_twice(&server).await;
        telemetry.spans(2).await;
        assert_eq!(logs(&telemetry), [("WARN", TWICE.to_owned())]);
    });
}

#[test]
fn layer_behind_a_layer_of_another_version_is_logged_once() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let server = Server::builder().layer(layer_fn(|routes| tower::util::MapRequest::new(routes, mark)));
        let server = server.layer(ServerLayer::new());
        let server = serve_with(server, Routes::new(UnaryServer::new(Plain))).await;
        call_twice(&server).await;
        telemetry.spans(2).await;
        assert_eq!(logs(&telemetry), [("WARN", TWICE.to_owned())]);
    });
}

#[tokio::test]
async fn layer_marks_the_requests_of_a_method_that_it_does_not_know_yet() {
    let telemetry = Telemetry::start();
    let service = Marked::default();
    let routes = Routes::new(UnaryServer::new(service.clone()));
    let server = serve_with(Server::builder().layer(ServerLayer::new()), routes).await;
    call_twice(&server).await;
    telemetry.spans(2).await;
    let mark = Wrapping(["otel-runtime", env!("CARGO_PKG_VERSION")]);
    assert_eq!(*service.0.lock().unwrap(), [Some(mark), None]);
    assert_eq!(logs(&telemetry), []);
}

/// Returns the version of OpenTelemetry that the workspace depends on, without the patch.
fn opentelemetry_version() -> &'static str {
    let manifest = include_str!("../../../Cargo.toml");
    let (_, version) = manifest.split_once("\nopentelemetry = { version = \"").unwrap();
    let (version, _) = version.split_once('"').unwrap();
    version.rsplit_once('.').unwrap().0
}

/// Log lines of a `tracing` subscriber.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn missing_tracer_provider_is_logged_once() {
    in_own_process_async(async {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_env_filter("otel_runtime=debug")
            .with_writer(move || writer.clone())
            .init();
        let server = serve(Routes::new(UnaryServer::new(Marked::default()))).await;
        call_twice(&server).await;
        let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(
            String::from_utf8_lossy(&lines),
            format!(
                "DEBUG otel_runtime: RPCs have no spans, because no tracer provider of opentelemetry {} is installed; \
                 providers of another version are not found (logged once)\n",
                opentelemetry_version()
            )
        );
    });
}
