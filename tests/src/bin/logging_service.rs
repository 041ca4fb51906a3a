//! A service that logs in many places, which tests run as a child process.
//!
//! The first argument selects the format of log lines: `pretty`, `json`, `off` or `default`. With
//! `bare_pretty` or `bare_json`, lines and log records are without the fields of spans; with
//! `no_subscriber`, none is installed. If the second argument is `abort`, the process aborts. The
//! variable `SPANS` selects the spans that are exported. The console exporters write JSON, so that
//! tests can parse the exported telemetry.

use std::pin::Pin;
use std::time::Duration;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};
use otel_runtime::{task, traced_service};
use otel_setup::StdoutLogs;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

#[derive(Clone)]
struct LoggingService;

#[traced_service]
#[tonic::async_trait]
impl Unary for LoggingService {
    async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        tracing::info!("in a handler");
        instrumented(1).await;
        let carried = [
            task::spawn(async {
                tokio::task::yield_now().await;
                tracing::info!(user = user(), "in a task");
            }),
            task::spawn_blocking(|| tracing::info!(user = user(), "on a thread for what blocks")),
        ];
        for task in carried {
            task.await.unwrap();
        }
        let thread = task::in_current_context_fn(|| tracing::info!(user = user(), "on a thread"));
        std::thread::spawn(thread).join().unwrap();
        let forgetful = async { tracing::info!(user = user(), "in a task that carries nothing") };
        tokio::spawn(forgetful).await.unwrap();
        Ok(Response::new(Message::default()))
    }
}

#[tracing::instrument]
async fn instrumented(attempt: u32) {
    tracing::warn!("in an instrumented function");
    global::tracer("native").start("native").end();
    verbose().await;
}

#[tracing::instrument(level = "debug")]
async fn verbose() {
    tracing::debug!("in a verbose function");
    quiet();
}

#[tracing::instrument]
fn quiet() {}

/// Returns the entry `user` of the current baggage.
fn user() -> Option<String> {
    Context::map_current(|context| context.baggage().get("user").map(ToString::to_string))
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for LoggingService {
    type CallStream = Pin<Box<dyn Stream<Item = Result<Message, Status>> + Send>>;

    async fn call(&self, _: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let stream = tokio_stream::once(Message::default()).map(|message| {
            tracing::info!("in a response stream");
            Ok(message)
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

fn recorded() {
    let span = tracing::info_span!("recorded", a = 1, late = tracing::field::Empty, message = "of a span").entered();
    span.record("a", 2).record("late", "yes\u{202e}");
    tracing::info!("with fields recorded later");
}

fn suppressed() {
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    let _span = tracing::info_span!("suppressed").entered();
    drop(tracing::info_span!(parent: None, "suppressed, without a parent").entered());
    tracing::info!("suppressed");
}

fn fields() {
    let error: &(dyn std::error::Error + 'static) = &std::fmt::Error;
    tracing::error!(
        target: "fields",
        text = "a \"quoted\"\ntext",
        shown = %"as it is\n",
        debugged = ?Some(1),
        signed = -1,
        unsigned = u64::MAX,
        float = 0.5,
        not_a_number = f64::NAN,
        endless = f64::NEG_INFINITY,
        truth = true,
        error,
        timestamp = "ours",
        trace_id = "ours",
        level = 7,
        r#type = "raw",
        dotted.name = 1,
        "many {}\nfields",
        "and"
    );
    tracing::event!(target: "fields", tracing::Level::INFO, only = "a field");
    tracing::event!(name: "greeting.sent", target: "named", tracing::Level::INFO, log.iostream = "stdout");
    log::info!(target: "tar\u{202e}get", "with an odd target");
    log::info!(target: "fields", "of the log crate");
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let builder = otel_setup::builder().console_json();
    let builder = match arguments[1].as_str() {
        "pretty" => builder.stdout_logs(StdoutLogs::Pretty),
        "json" => builder.stdout_logs(StdoutLogs::Json),
        "off" => builder.stdout_logs(StdoutLogs::Off),
        "bare_pretty" => builder.stdout_logs(StdoutLogs::Pretty).without_span_fields(),
        "bare_json" => builder.stdout_logs(StdoutLogs::Json).without_span_fields(),
        "no_subscriber" => builder.without_subscriber(),
        _ => builder,
    };
    let builder = match std::env::var("SPANS") {
        Ok(directives) => builder.span_directives(directives),
        Err(_) => builder,
    };
    let telemetry = builder.init().unwrap();
    tracing::info!("outside");
    tracing::debug!(target: "details", "details");
    if arguments.get(2).is_some_and(|argument| argument == "abort") {
        std::process::abort();
    }
    fields();
    recorded();
    suppressed();

    let server =
        serve(Routes::new(UnaryServer::new(LoggingService)).add_service(ServerStreamServer::new(LoggingService))).await;
    let mut request = Request::new(Message::default());
    request.metadata_mut().insert("baggage", "user=ada".parse().unwrap());
    UnaryClient::new(server.channel().await).call(request).await.unwrap();
    let mut client = ServerStreamClient::new(server.channel().await);
    let mut replies = client.call(Message::default()).await.unwrap().into_inner();
    while replies.message().await.unwrap().is_some() {}
    drop(server);
    if let Err(error) = telemetry.shutdown(Duration::from_secs(5)).await {
        eprintln!("shutdown: {error}");
    }
}
