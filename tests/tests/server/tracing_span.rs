//! `ServerLayer::tracing_span`: lines of the program's own subscriber, and no second exported span.

mod running;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::panics;
use integration_tests::rpc::{call_to_end, request};
use integration_tests::server::serve_with;
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use otel_runtime::filter::health_check;
use otel_runtime::{LoggedCalls, ServerLayer};
use otel_setup::testing::TestTelemetry;
use tonic::Request;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::Server;
use tower::ServiceBuilder;
use tower::util::MapRequestLayer;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::filter::{Targets, dynamic_filter_fn, filter_fn};
use tracing_subscriber::prelude::*;

use self::running::{Lines, routes, running, running_with};

const UNARY: &str = "kinds.Unary/Call";
const STREAM: &str = "kinds.ServerStream/Call";

#[tokio::test]
async fn lines_have_the_method_and_the_end_has_the_code() {
    for is_annotated in [false, true] {
        let known = ServerLayer::new().tracing_span().known_methods([UNARY, STREAM]);
        let running = running(known, is_annotated).await;
        for (text, code) in [("", "OK"), ("missing", "NOT_FOUND")] {
            assert_eq!(
                running.lines_of(text).await,
                [
                    format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in the handler"),
                    format!("INFO rpc{{rpc.method=\"{UNARY}\"}}:reserve: in its span"),
                    format!("INFO rpc{{rpc.method=\"{UNARY}\"}}:reserve: close"),
                    format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in a task"),
                    format!("INFO rpc{{rpc.method=\"{UNARY}\" rpc.status_code=\"{code}\"}}: otel_runtime::rpc: close"),
                ],
                "annotated: {is_annotated}"
            );
        }
        let mut replies = ServerStreamClient::new(running.server.channel().await)
            .call(Message::from(""))
            .await
            .unwrap()
            .into_inner();
        while replies.message().await.unwrap().is_some() {}
        assert_eq!(
            running.lines_at_end().await,
            [
                format!("INFO rpc{{rpc.method=\"{STREAM}\"}}: message a"),
                format!("INFO rpc{{rpc.method=\"{STREAM}\"}}: message b"),
                format!("INFO rpc{{rpc.method=\"{STREAM}\" rpc.status_code=\"OK\"}}: otel_runtime::rpc: close"),
            ],
            "annotated: {is_annotated}"
        );
    }
}

#[tokio::test]
async fn a_panic_is_logged_inside_of_the_span() {
    let layer = ServerLayer::new().tracing_span().known_methods([UNARY]);
    let running = running(layer, false).await;
    panics::quiet();
    let lines = running.lines_of("panic").await;
    let [.., exception, end] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(
        exception,
        &format!(
            "ERROR rpc{{rpc.method=\"{UNARY}\"}}: otel_runtime::guard: exception.type=\"panic\" exception.message=\"as asked\""
        )
    );
    assert_eq!(
        end,
        &format!("INFO rpc{{rpc.method=\"{UNARY}\" rpc.status_code=\"UNKNOWN\"}}: otel_runtime::rpc: close")
    );
}

/// Whatever the end, and whether it comes with the code of the call or later.
#[tokio::test]
async fn a_logged_call_is_inside_of_the_span() {
    panics::quiet();
    for is_annotated in [false, true] {
        let layer = ServerLayer::new().tracing_span().log_calls(LoggedCalls::All);
        let running = running(layer, is_annotated).await;
        for (rpc, text, level, code) in [
            (UNARY, "", "INFO", "OK"),
            (UNARY, "missing", "INFO", "NOT_FOUND"),
            (UNARY, "panic", "ERROR", "UNKNOWN"),
            (STREAM, "", "INFO", "OK"),
            ("made.Up/Path", "", "ERROR", "UNIMPLEMENTED"),
        ] {
            let channel = running.server.channel().await;
            call_to_end(channel, rpc, request(text)).await;
            let method = if rpc == "made.Up/Path" { "_OTHER" } else { rpc };
            let start = format!(
                "{level} rpc{{rpc.method=\"{method}\" rpc.status_code=\"{code}\"}}: otel_runtime::calls: incoming \
                 call rpc.method=\"{method}\" "
            );
            let lines = running.lines_at_end().await;
            let logged: Vec<_> = lines.iter().filter(|line| line.contains("incoming call")).collect();
            assert!(
                matches!(&logged[..], [line] if line.starts_with(&start)),
                "annotated: {is_annotated}: {start}: {lines:?}"
            );
        }
    }
}

/// An unknown path is no name, and a method that becomes known has its name from then on.
#[tokio::test]
async fn a_method_that_is_not_known_has_no_name_until_it_is() {
    let running = running(ServerLayer::new().tracing_span(), true).await;
    let channel = running.server.channel().await;
    call_to_end(channel, "made.Up/Path", request("")).await;
    assert_eq!(
        running.lines_at_end().await,
        ["INFO rpc{rpc.method=\"_OTHER\" rpc.status_code=\"UNIMPLEMENTED\"}: otel_runtime::rpc: close"]
    );
    let lines = running.lines_of("").await;
    assert_eq!(lines[0], format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in the handler"));
}

/// Without the attribute, nobody names a method before its first answer.
#[tokio::test]
async fn the_first_lines_of_a_method_without_the_attribute_lack_its_name() {
    let running = running(ServerLayer::new().tracing_span(), false).await;
    let end = format!("INFO rpc{{rpc.method=\"{UNARY}\" rpc.status_code=\"OK\"}}: otel_runtime::rpc: close");
    for first in [
        "INFO rpc: in the handler".to_owned(),
        format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in the handler"),
    ] {
        let lines = running.lines_of("").await;
        assert_eq!((&lines[0], lines.last()), (&first, Some(&end)));
    }
}

#[tokio::test]
async fn without_the_option_and_for_filtered_calls_there_is_no_span() {
    let filtered = ServerLayer::new().tracing_span().filter(health_check());
    for (layer, spans) in [(ServerLayer::new(), 1), (filtered, 0)] {
        let running = running(layer, true).await;
        UnaryClient::new(running.server.channel().await)
            .call(Message::from(""))
            .await
            .unwrap();
        running.telemetry.spans(spans).await;
        assert_eq!(
            running.lines.take(),
            [
                "INFO in the handler",
                "INFO reserve: in its span",
                "INFO reserve: close",
                "INFO in a task"
            ]
        );
    }
}

/// A subscriber may come later, disable the span, or choose among RPCs by their context.
#[tokio::test]
async fn a_span_opens_while_the_subscriber_enables_it() {
    const CHOSEN: &str = "0af7651916cd43dd8448eb211c80319c";
    const OTHER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    let nobody = tracing::subscriber::set_default(NoSubscriber::default());
    let layer = ServerLayer::new().tracing_span().known_methods([UNARY]);
    let running = running_with(layer, true, TestTelemetry::new(), Lines::default(), nobody).await;
    let disabled = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("otel_runtime::rpc", LevelFilter::OFF);
    let chosen = dynamic_filter_fn(|metadata, _| {
        let context = Context::current();
        metadata.target() != "otel_runtime::rpc" || context.span().span_context().trace_id().to_string() == CHOSEN
    });
    let lines = || running.lines.subscriber();
    let with_span = format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in the handler");
    let without = "INFO in the handler".to_owned();
    for (name, subscriber, trace, first) in [
        ("none", Dispatch::none(), CHOSEN, None),
        ("later", Dispatch::new(lines()), CHOSEN, Some(&with_span)),
        ("target", Dispatch::new(lines().with(disabled)), CHOSEN, Some(&without)),
        ("level", Dispatch::new(lines().with(LevelFilter::WARN)), CHOSEN, None),
        (
            "chosen",
            Dispatch::new(lines().with(chosen.clone())),
            CHOSEN,
            Some(&with_span),
        ),
        ("other", Dispatch::new(lines().with(chosen)), OTHER, Some(&without)),
    ] {
        let _subscriber = tracing::dispatcher::set_default(&subscriber);
        let mut request = Request::new(Message::from(""));
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
        let mut client = UnaryClient::new(running.server.channel().await);
        client.call(request).await.unwrap();
        assert_eq!(running.lines_at_end().await.first(), first, "{name}");
    }
}

/// Returns the names of exported spans and of their parents, in the order of their end.
async fn exported(telemetry: &TestTelemetry, count: usize) -> Vec<(String, Option<String>)> {
    let spans = telemetry.spans(count).await;
    let name_of = |id| {
        let found = spans.iter().find(|span| span.span_context.span_id() == id);
        found.map(|span| span.name.to_string())
    };
    spans
        .iter()
        .map(|span| (span.name.to_string(), name_of(span.parent_span_id)))
        .collect()
}

/// With and without the activation of OpenTelemetry's context by the layer.
#[tokio::test]
async fn a_layer_that_exports_spans_gets_none() {
    for activates in [true, false] {
        let (telemetry, lines) = (TestTelemetry::new(), Lines::default());
        let exporting = tracing_opentelemetry::layer()
            .with_tracer(telemetry.tracer_provider().tracer("tracing"))
            .with_context_activation(activates)
            .with_filter(
                Targets::new().with_targets([("server", LevelFilter::INFO), ("otel_runtime", LevelFilter::INFO)]),
            );
        let subscriber = tracing::subscriber::set_default(lines.subscriber().with(exporting));
        let layer = ServerLayer::new().tracing_span();
        let running = running_with(layer, true, telemetry, lines, subscriber).await;
        let lines = running.lines_of("").await;
        let child = ("reserve".to_owned(), Some(UNARY.to_owned()));
        assert_eq!(
            exported(&running.telemetry, 2).await,
            [child, (UNARY.to_owned(), None)],
            "{activates}"
        );
        let handler: Vec<_> = lines.iter().filter(|line| line.contains("in the handler")).collect();
        assert_eq!(handler, ["INFO in the handler"]);
        running.telemetry.assert_balanced().await;
    }
}

#[tokio::test]
async fn a_layer_that_filters_the_target_exports_one_span_and_lines_have_the_method() {
    let (telemetry, lines) = (TestTelemetry::new(), Lines::default());
    let exporting = tracing_opentelemetry::layer()
        .with_tracer(telemetry.tracer_provider().tracer("tracing"))
        .with_filter(filter_fn(|metadata| {
            metadata.target().starts_with("server") && metadata.target() != "otel_runtime::rpc"
        }));
    let subscriber = tracing::subscriber::set_default(lines.subscriber().with(exporting));
    let layer = ServerLayer::new().tracing_span();
    let running = running_with(layer, true, telemetry, lines, subscriber).await;
    let lines = running.lines_of("").await;
    assert_eq!(lines[0], format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in the handler"));
    let child = ("reserve".to_owned(), Some(UNARY.to_owned()));
    assert_eq!(exported(&running.telemetry, 2).await, [child, (UNARY.to_owned(), None)]);
    running.telemetry.assert_balanced().await;
}

/// The first call of the outer layer starts anew, once it has met the inner one; later ones wait.
#[tokio::test]
async fn a_call_that_a_stricter_layer_starts_anew_has_one_span() {
    let (telemetry, lines) = (TestTelemetry::new(), Lines::default());
    let _subscriber = tracing::subscriber::set_default(lines.subscriber());
    let outer = ServerLayer::new()
        .tracing_span()
        .instrumentation(telemetry.instrumentation());
    let inner = ServerLayer::new().public_endpoint();
    let logging = MapRequestLayer::new(|request: http::Request<Body>| {
        tracing::info!("before the handler");
        request
    });
    let server = Server::builder().layer(outer).layer(inner).layer(logging);
    let server = serve_with(server, routes(true)).await;
    for number in 0..3 {
        UnaryClient::new(server.channel().await)
            .call(Message::from(""))
            .await
            .unwrap();
        tokio::task::yield_now().await;
        let lines = lines.take();
        let handler: Vec<_> = lines.iter().filter(|line| line.contains("in the handler")).collect();
        assert_eq!(
            handler,
            [&format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in the handler")],
            "{number}"
        );
        let is_inside = |line: &String| line.starts_with("INFO rpc") && line.ends_with(": before the handler");
        assert_eq!(
            lines.iter().filter(|line| is_inside(line)).count(),
            1,
            "{number}: {lines:?}"
        );
    }
}

/// A request whose content type is not gRPC's has a call once a handler gets it.
#[tokio::test]
async fn a_call_that_starts_late_has_the_span() {
    let running = running(ServerLayer::new().tracing_span(), true).await;
    for _ in 0..2 {
        let channel = ServiceBuilder::new()
            .map_request(|mut request: http::Request<Body>| {
                let text = http::HeaderValue::from_static("text/plain");
                request.headers_mut().insert(http::header::CONTENT_TYPE, text);
                request
            })
            .service(running.server.channel().await);
        UnaryClient::new(channel).call(Message::from("")).await.unwrap();
        let lines = running.lines_at_end().await;
        assert_eq!(lines[0], format!("INFO rpc{{rpc.method=\"{UNARY}\"}}: in the handler"));
    }
}
