//! A server whose handlers log, and the lines of its program.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::{RunningServer, serve_with};
use otel_runtime::{ServerLayer, task, traced_service};
use otel_setup::testing::TestTelemetry;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::prelude::*;

/// Handlers that log, and end as the text says.
#[derive(Clone)]
struct Logs;

/// [`Logs`] with the attribute.
struct Annotated;

async fn unary(request: Request<Message>) -> Result<Response<Message>, Status> {
    tracing::info!("in the handler");
    tracing::info_span!("reserve").in_scope(|| tracing::info!("in its span"));
    task::in_current_context(async { tracing::info!("in a task") }).await;
    match &*request.get_ref().text {
        "missing" => Err(Status::not_found("")),
        "panic" => panic!("as asked"),
        _ => Ok(Response::new(request.into_inner())),
    }
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

fn stream() -> Response<Messages> {
    let messages = tokio_stream::iter(["a", "b"]).map(|text| {
        tracing::info!("message {text}");
        Ok(Message::from(text))
    });
    Response::new(Box::pin(messages))
}

macro_rules! services {
    ($service:ident $(, #[$attribute:ident])?) => {
        $(#[$attribute])?
        #[tonic::async_trait]
        impl Unary for $service {
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                unary(request).await
            }
        }

        $(#[$attribute])?
        #[tonic::async_trait]
        impl ServerStream for $service {
            type CallStream = Messages;

            async fn call(&self, _: Request<Message>) -> Result<Response<Messages>, Status> {
                Ok(stream())
            }
        }
    };
}

services!(Logs);
services!(Annotated, #[traced_service]);

pub(super) fn routes(is_annotated: bool) -> Routes {
    if is_annotated {
        Routes::new(UnaryServer::new(Annotated)).add_service(ServerStreamServer::new(Annotated))
    } else {
        Routes::new(UnaryServer::new(Logs)).add_service(ServerStreamServer::new(Logs))
    }
}

/// The lines of a plain `fmt` layer.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Returns a subscriber of this test with only a `fmt` layer.
    pub(super) fn subscriber(&self) -> impl Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s> + use<> {
        let writer = self.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .with_span_events(FmtSpan::CLOSE);
        // Without the transport.
        let ours = Targets::new()
            .with_target("server", LevelFilter::INFO)
            .with_target("otel_runtime", LevelFilter::INFO);
        tracing_subscriber::registry().with(lines.with_filter(ours))
    }

    /// Returns the lines, without the times of spans.
    pub(super) fn take(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let lines = text.lines().map(|line| {
            let line = line.split(" time.busy").next().unwrap();
            line.trim_start().replace("server::tracing_span::running: ", "")
        });
        lines.collect()
    }
}

/// A server with the layer, the lines of its program, and its telemetry.
pub(super) struct Running {
    pub(super) server: RunningServer,
    pub(super) lines: Lines,
    pub(super) telemetry: TestTelemetry,
    _subscriber: DefaultGuard,
}

/// Serves with a subscriber that has only a `fmt` layer.
pub(super) async fn running(layer: ServerLayer, is_annotated: bool) -> Running {
    let lines = Lines::default();
    let subscriber = tracing::subscriber::set_default(lines.subscriber());
    running_with(layer, is_annotated, TestTelemetry::new(), lines, subscriber).await
}

pub(super) async fn running_with(
    layer: ServerLayer,
    is_annotated: bool,
    telemetry: TestTelemetry,
    lines: Lines,
    subscriber: DefaultGuard,
) -> Running {
    let layer = layer.instrumentation(telemetry.instrumentation());
    let server = serve_with(Server::builder().layer(layer), routes(is_annotated)).await;
    Running {
        server,
        lines,
        telemetry,
        _subscriber: subscriber,
    }
}

impl Running {
    /// Returns the lines, once all spans have ended.
    pub(super) async fn lines_at_end(&self) -> Vec<String> {
        self.telemetry.assert_balanced().await;
        // The `tracing` span closes behind OpenTelemetry's, in the same poll of the server.
        tokio::task::yield_now().await;
        self.lines.take()
    }

    /// Calls the unary method, and returns the lines.
    pub(super) async fn lines_of(&self, text: &str) -> Vec<String> {
        let _ = UnaryClient::new(self.server.channel().await)
            .call(Message::from(text))
            .await;
        self.lines_at_end().await
    }
}
