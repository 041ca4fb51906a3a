//! `otel_setup::testing`: waits for telemetry, keeps tests apart, and shows traces when it fails.

use std::future::poll_fn;
use std::panic::catch_unwind;
use std::pin::pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::own_process::{block_on, in_own_process, in_own_process_async};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{serve, serve_with};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{Span, SpanKind, Status as SpanStatus, Tracer, TracerProvider};
use opentelemetry::{KeyValue, global};
use otel_runtime::{ClientLayer, ServerLayer, traced_service};
use otel_setup::testing::TestTelemetry;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower_layer::Layer;
use tracing_subscriber::layer::SubscriberExt;

mod failures;

const UNARY: &str = "kinds.Unary/Call";

/// Long enough for every wait that fails at once, and short for those that must last.
const SHORT: Duration = Duration::from_millis(50);

/// A service whose handler has a `tracing` span, and one of the global tracer.
struct Shop;

#[traced_service]
#[tonic::async_trait]
impl Unary for Shop {
    #[traced(fields(item = request.get_ref().text.as_str()))]
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let text = request.into_inner().text;
        tracing::info_span!("reserve", pieces = 2).in_scope(|| {});
        global::tracer("shop").in_span("pay", |_| {});
        match &*text {
            "gold" => Err(Status::not_found("no gold")),
            "poison" => Err(Status::internal("do not drink")),
            _ => Ok(Response::new(Message { text })),
        }
    }
}

/// Calls the shop over a socket, through layers that record with `telemetry`.
async fn order(telemetry: &TestTelemetry, item: &str) -> Result<Response<Message>, Status> {
    let layer = ServerLayer::new().instrumentation(telemetry.instrumentation());
    let server = serve_with(Server::builder().layer(layer), Routes::new(UnaryServer::new(Shop))).await;
    let client = ClientLayer::new("http://shop").instrumentation(telemetry.instrumentation());
    UnaryClient::new(client.layer(server.channel().await))
        .call(Message::from(item))
        .await
}

#[tokio::test]
async fn an_rpc_over_a_socket_is_found_with_its_attributes_and_metrics() {
    let telemetry = TestTelemetry::new();
    order(&telemetry, "tea").await.unwrap();

    let server = telemetry.server_span(UNARY).await;
    server
        .assert_attribute("rpc.status_code", "OK")
        .assert_attribute("item", "tea")
        .assert_no_attribute("error.type");
    assert_eq!(server.status, SpanStatus::Unset);
    let client = telemetry.client_span(UNARY).await;
    client.assert_attribute("server.address", "shop");
    assert_eq!(server.parent_span_id, client.span_context.span_id());
    assert_eq!(client.child(UNARY).await.span_context, server.span_context);

    let durations = telemetry.metric("rpc.server.call.duration");
    durations.assert_count(1);
    durations.clone().with("rpc.status_code", "OK").assert_count(1);
    durations.with("rpc.status_code", "NOT_FOUND").assert_count(0);
    telemetry.metric("rpc.client.active_requests").assert_value(0);
    assert_eq!(
        telemetry.metrics().names(),
        [
            "rpc.client.active_requests",
            "rpc.client.call.duration",
            "rpc.server.active_requests",
            "rpc.server.call.duration"
        ]
    );
    telemetry.assert_balanced().await;
}

/// Spans are as `init` would export them.
#[tokio::test]
async fn an_attribute_that_is_set_again_is_there_once() {
    let telemetry = TestTelemetry::new();
    let mut span = telemetry.tracer_provider().tracer("test").start("import");
    for progress in 0..200 {
        span.set_attribute(KeyValue::new("progress", progress));
    }
    span.set_attribute(KeyValue::new("end", true));
    span.end();
    let [span] = &telemetry.spans(1).await[..] else {
        panic!("one span")
    };
    assert_eq!(
        span.attributes,
        [KeyValue::new("progress", 199), KeyValue::new("end", true)]
    );
    span.assert_attribute("progress", 199);
    assert_eq!(span.dropped_attributes_count, 0);
}

/// Each thread has a test of its own, as libtest's have.
#[test]
fn tests_in_parallel_see_only_their_own_rpcs() {
    thread::scope(|scope| {
        for rpcs in 1..8 {
            scope.spawn(move || {
                block_on(async {
                    let telemetry = TestTelemetry::new();
                    for _ in 0..rpcs {
                        order(&telemetry, "tea").await.unwrap();
                    }
                    assert_eq!(telemetry.spans(2 * rpcs).await.len(), 2 * rpcs);
                    let durations = telemetry.metric("rpc.server.call.duration");
                    durations.assert_count(rpcs.try_into().unwrap());
                    telemetry.assert_balanced().await;
                });
            });
        }
    });
}

#[tokio::test]
async fn a_generated_client_needs_no_socket() {
    let telemetry = TestTelemetry::new();
    let mut client = UnaryClient::new(telemetry.in_process(UnaryServer::new(Shop)));
    let status = client.call(Message::from("gold")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let span = telemetry.server_span(UNARY).await;
    span.assert_attribute("rpc.status_code", "NOT_FOUND");
    let durations = telemetry.metric("rpc.server.call.duration");
    durations
        .with("rpc.method", UNARY)
        .with("rpc.status_code", "NOT_FOUND")
        .assert_count(1);
    telemetry.assert_balanced().await;
}

#[tokio::test]
async fn spans_of_tracing_are_children_with_the_layer() {
    let telemetry = TestTelemetry::new();
    let subscriber = tracing_subscriber::registry().with(telemetry.tracing_layer());
    let _subscriber = tracing::subscriber::set_default(subscriber);
    order(&telemetry, "tea").await.unwrap();
    let span = telemetry.server_span(UNARY).await;
    span.child("reserve").await.assert_attribute("pieces", 2);
    // The span of the global tracer is not recorded.
    let children: Vec<_> = span
        .children()
        .into_iter()
        .map(|child| child.into_data().name)
        .collect();
    assert_eq!(children, ["reserve"]);
}

#[test]
fn global_telemetry_has_one_test_at_a_time_and_starts_empty() {
    in_own_process(|| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    block_on(async {
                        let telemetry = TestTelemetry::global();
                        let server = serve(Routes::new(UnaryServer::new(Shop))).await;
                        let mut client = UnaryClient::new(server.channel().await);
                        client.call(Message::from("tea")).await.unwrap();
                        client.call(Message::from("gold")).await.unwrap_err();
                        let durations = |code| {
                            let durations = telemetry.metric("rpc.server.call.duration");
                            durations.with("rpc.status_code", code).count()
                        };
                        telemetry.spans(4).await;
                        assert_eq!([durations("OK"), durations("NOT_FOUND")], [1, 1]);
                        let spans = telemetry.ended_spans();
                        let calls = spans.iter().filter(|span| span.span_kind == SpanKind::Server);
                        let calls: Vec<_> = calls.collect();
                        assert_eq!(calls.len(), 2);
                        for span in calls {
                            span.child("pay").await;
                        }
                        telemetry.assert_balanced().await;
                    });
                });
            }
        });
    });
}

#[test]
fn a_second_global_telemetry_of_a_test_fails_instead_of_waiting_for_the_first() {
    in_own_process(|| {
        let _first = TestTelemetry::global();
        let message = catch_unwind(TestTelemetry::global).expect_err("it panics");
        let message = message.downcast_ref::<String>().unwrap();
        assert!(
            message.contains("`TestTelemetry::global` was called while this test's first one is still alive"),
            "{message}"
        );
    });
}

/// An RPC whose caller leaves ends a moment later, and a subscription only then.
#[tokio::test]
async fn spans_are_awaited() {
    let telemetry = TestTelemetry::new();
    let layer = ServerLayer::new().instrumentation(telemetry.instrumentation());
    let routes = Annotated::routes(&ScriptedService::default());
    let server = serve_with(Server::builder().layer(layer), routes).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    let replies = client.call(Message::from("later wait")).await.unwrap();

    let rpc = "kinds.ServerStream/Call";
    let mut span = pin!(telemetry.server_span(rpc));
    let still_waits = poll_fn(|cx| Poll::Ready(span.as_mut().poll(cx).is_pending())).await;
    assert!(still_waits);
    drop(replies);
    span.await.assert_attribute("rpc.status_code", "CANCELLED");
    telemetry.assert_balanced().await;
}

/// With tokio's clock stopped, a timeout of tokio would pass as soon as all tasks wait.
#[tokio::test(start_paused = true)]
async fn waiting_does_not_depend_on_the_clock_of_tokio() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer_provider().tracer("late");
    let late = thread::spawn(move || {
        thread::sleep(SHORT);
        tracer.in_span("late", |_| {});
    });
    assert_eq!(telemetry.spans(1).await[0].name, "late");
    late.join().unwrap();
}

/// Sums, histograms and gauges, over several collections.
#[test]
fn metrics_have_the_values_since_the_start_of_the_test() {
    let telemetry = TestTelemetry::new();
    let meter = telemetry.meter_provider().meter("shop");
    let (orders, open) = (
        meter.u64_counter("orders").build(),
        meter.i64_up_down_counter("open").build(),
    );
    let (weight, stock) = (meter.f64_histogram("weight").build(), meter.f64_gauge("stock").build());
    let tea = [KeyValue::new("item", "tea")];
    for round in 1..4_u32 {
        orders.add(2, &tea);
        open.add(1, &[]);
        weight.record(0.5, &tea);
        stock.record(f64::from(10 - round), &[]);
        telemetry.metric("orders").assert_value(2 * round);
        telemetry.metric("open").assert_value(round);
        telemetry.metric("weight").assert_count(round.into());
        telemetry.metric("weight").assert_value(0.5 * f64::from(round));
        telemetry.metric("stock").assert_value(10 - round);
    }
    telemetry.metric("orders").with("item", "cake").assert_value(0);
    let orders = telemetry.metric("orders");
    let [point] = orders.points() else {
        panic!("expected one point: {orders:?}")
    };
    assert_eq!(point.attributes, tea);
}

/// Instruments of two scopes, and of two types of numbers.
#[test]
fn instruments_with_one_name_add_up() {
    let telemetry = TestTelemetry::new();
    let meters = ["shop", "stock"].map(|scope| telemetry.meter_provider().meter(scope));
    for round in 1..4_u32 {
        for meter in &meters {
            meter.u64_counter("orders").build().add(1, &[]);
            meter.f64_counter("orders").build().add(0.5, &[]);
            meter.i64_up_down_counter("open").build().add(2, &[]);
            meter.f64_up_down_counter("open").build().add(-0.5, &[]);
            meter.f64_histogram("weight").build().record(0.25, &[]);
            meter.u64_gauge("level").build().record(round.into(), &[]);
        }
        let round = f64::from(round);
        telemetry.metric("orders").assert_value(3.0 * round);
        telemetry.metric("open").assert_value(3.0 * round);
        telemetry.metric("weight").assert_value(0.5 * round);
        for (name, values) in [("open", &[3.0 * round][..]), ("level", &[round, round])] {
            let metric = telemetry.metric(name);
            let found: Vec<f64> = metric.points().iter().map(|point| point.value).collect();
            assert_eq!(found, values, "{name}");
        }
    }
}

#[test]
fn spans_of_an_earlier_test_are_not_recorded() {
    in_own_process_async(async {
        let earlier = TestTelemetry::global();
        let mut span = global::tracer("earlier").start("earlier");
        drop(earlier);
        let telemetry = TestTelemetry::global();
        span.end();
        global::tracer("later").in_span("later", |_| {});
        let spans = telemetry.spans(1).await;
        assert_eq!(spans[0].name, "later");
    });
}
