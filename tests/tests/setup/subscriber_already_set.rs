//! If the program already has a `tracing` subscriber, `init` fails and installs nothing.

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::{in_own_process, in_own_process_async};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::serve;
use opentelemetry::trace::{Span, Tracer};
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use std::collections::HashMap;
use std::error::Error;

use crate::zpages::Pages;

#[test]
fn init_fails_and_installs_nothing() {
    in_own_process(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        let before = InMemorySpanExporter::default();
        global::set_tracer_provider(
            SdkTracerProvider::builder()
                .with_simple_exporter(before.clone())
                .build(),
        );

        let spans = InMemorySpanExporter::default();
        let added = spans.clone();
        let error = otel_setup::builder()
            .trace_exporters([])
            .metric_exporters([])
            .log_exporters([])
            .configure_tracer_provider(|provider| provider.with_simple_exporter(added))
            .init()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "a global `tracing` subscriber is already set; either call `otel_setup::init()` once and set no other, or \
         call `let telemetry = otel_setup::builder().without_subscriber().init()?;` first and add its layers to yours: \
         `.with(telemetry.logs_layer()).with(telemetry.spans_layer())`"
        );
        assert_eq!(
            error.source().unwrap().to_string(),
            "a global default trace dispatcher has already been set"
        );

        let mut span = global::tracer("app").start("span");
        let mut carrier = HashMap::new();
        let context = opentelemetry::trace::TraceContextExt::with_remote_span_context(
            &Context::new(),
            span.span_context().clone(),
        );
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
        span.end();
        assert_eq!(before.get_finished_spans().unwrap().len(), 1);
        assert!(spans.get_finished_spans().unwrap().is_empty());
        assert!(carrier.is_empty(), "{carrier:?}");
    });
}

#[test]
fn the_setup_after_a_failed_one_shows_running_rpcs() {
    in_own_process_async(async {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
        let setup = || {
            otel_setup::builder()
                .trace_exporters([])
                .metric_exporters([])
                .log_exporters([])
        };
        let setup = || setup().zpages_address("127.0.0.1:0".parse().unwrap());
        setup().init().unwrap_err();
        let pages = Pages::of(setup().without_subscriber());
        let service = ScriptedService::default();
        let server = serve(Annotated::routes(&service)).await;
        let mut client = UnaryClient::new(server.channel().await);
        let call = tokio::spawn(async move { client.call(Message::from("wait")).await });
        service.waits().await;
        assert_eq!(pages.row("kinds.Unary/Call", "server")["running"], 1);
        service.release();
        call.await.unwrap().unwrap();
    });
}
