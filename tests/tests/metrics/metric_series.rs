//! The time series of RPCs: whose name they have, when there is one, and what a view does to them.

use std::convert::Infallible;

use axum::body::Bytes;
use http_body_util::StreamBody;
use integration_tests::client::{Kind, call};
use integration_tests::counted::{CountingTelemetry, series};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Plain, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics, SumDataPoint};
use opentelemetry_sdk::metrics::{
    Aggregation, InMemoryMetricExporter, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream,
};
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer};
use tonic::codec::CompressionEncoding;
use tonic::codegen::http;
use tonic::service::{InterceptorLayer, Routes};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tower::Layer;

const RPC: &str = "kinds.Unary/Call";

mod active_requests {
    use super::*;

    type View = fn(&Instrument) -> Option<Stream>;

    fn dropped() -> Option<Stream> {
        Stream::builder().with_aggregation(Aggregation::Drop).build().ok()
    }

    /// The sum of `rpc.server.active_requests`, if it is exported.
    fn sum(meters: &SdkMeterProvider, metrics: &InMemoryMetricExporter) -> Option<i64> {
        metrics.reset();
        meters.force_flush().unwrap();
        let collected = metrics.get_finished_metrics().unwrap();
        let scopes = collected.iter().flat_map(ResourceMetrics::scope_metrics);
        let metrics: Vec<_> = scopes.flat_map(ScopeMetrics::metrics).collect();
        let mut named = metrics
            .iter()
            .filter(|metric| metric.name() == "rpc.server.active_requests");
        let metric = named.next()?;
        assert!(named.next().is_none());
        let AggregatedMetrics::I64(MetricData::Sum(sum)) = metric.data() else {
            panic!("{metric:?}")
        };
        Some(sum.data_points().map(SumDataPoint::value).sum())
    }

    #[tokio::test]
    async fn live_and_die_with_their_own_view() {
        let _turn = Telemetry::start();
        let views: [(&str, View, [Option<i64>; 2]); 4] = [
            ("none", |_| None, [Some(1), Some(0)]),
            (
                "rpc.* alone",
                |instrument| {
                    if instrument.name().starts_with("rpc.") {
                        None
                    } else {
                        dropped()
                    }
                },
                [Some(1), Some(0)],
            ),
            (
                "no observable gauges",
                |instrument| {
                    (instrument.kind() == InstrumentKind::ObservableGauge)
                        .then(dropped)
                        .flatten()
                },
                [Some(1), Some(0)],
            ),
            (
                "without it",
                |instrument| {
                    (instrument.name() == "rpc.server.active_requests")
                        .then(dropped)
                        .flatten()
                },
                [None, None],
            ),
        ];
        for (name, view, values) in views {
            let metrics = InMemoryMetricExporter::default();
            let meters = SdkMeterProvider::builder()
                .with_reader(PeriodicReader::builder(metrics.clone()).build())
                .with_view(view)
                .build();
            let layer = ServerLayer::new().instrumentation(Instrumentation::builder().meter_provider(&meters).build());
            let service = ScriptedService::default();
            let server = serve_with(Server::builder().layer(layer), Plain::routes(&service)).await;
            let channel = server.channel().await;
            let waiting = tokio::spawn(call_to_end(channel, RPC, request("wait")));
            service.waits().await;
            let while_it_waits = sum(&meters, &metrics);
            service.release();
            waiting.await.unwrap();
            assert_eq!([while_it_waits, sum(&meters, &metrics)], values, "{name}");
        }
    }

    #[tokio::test]
    async fn of_other_methods_are_there_once_there_was_one() {
        let counted = CountingTelemetry::default();
        let layer = ServerLayer::new().instrumentation(counted.instrumentation.clone());
        let server = serve_with(
            Server::builder().layer(layer),
            Plain::routes(&ScriptedService::default()),
        )
        .await;
        let channel = server.channel().await;
        call_to_end(channel.clone(), RPC, request("")).await;
        let found = counted.after(1).await;
        assert_eq!(found["rpc.server.active_requests"], series([(RPC, 0)]));
        call_to_end(channel, "made.Up/Path", request("")).await;
        let found = counted.after(2).await;
        assert_eq!(found["rpc.server.active_requests"], series([(RPC, 0), ("_OTHER", 0)]));
    }
}

/// A method whose requests are all refused before the handler.
mod a_method_that_no_request_reaches {
    use super::*;

    struct Unreached;

    #[tonic::async_trait]
    impl Unary for Unreached {
        async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
            panic!("reached")
        }
    }

    async fn assert_is_named(telemetry: &Telemetry, what: &str) {
        let span = telemetry.span().await;
        assert_eq!(span.name, RPC, "{what}");
        assert_eq!(telemetry.durations(1).await[0]["rpc.method"], RPC, "{what}");
    }

    async fn serve_unreached(layer: ServerLayer, service: UnaryServer<Unreached>) -> RunningServer {
        serve_with(Server::builder().layer(layer), Routes::new(service)).await
    }

    #[tokio::test]
    async fn has_its_name_if_tonic_refuses_its_encoding() {
        let telemetry = Telemetry::start();
        let server = serve_unreached(ServerLayer::new(), UnaryServer::new(Unreached)).await;
        let mut client = UnaryClient::new(server.channel().await).send_compressed(CompressionEncoding::Gzip);
        let status = client.call(Message::from("")).await.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert_is_named(&telemetry, "encoding").await;
    }

    #[tokio::test]
    async fn has_its_name_if_its_message_is_too_large() {
        let telemetry = Telemetry::start();
        let service = UnaryServer::new(Unreached).max_decoding_message_size(2);
        let server = serve_unreached(ServerLayer::new(), service).await;
        let (_, status) = call_to_end(server.channel().await, RPC, request("large")).await;
        assert_eq!(status.code(), Code::OutOfRange);
        assert_is_named(&telemetry, "size").await;
    }

    #[tokio::test]
    async fn has_its_name_if_its_message_cannot_be_decoded() {
        const NOT_A_MESSAGE: &[u8] = b"\0\0\0\0\x02\x0a\xff";
        let telemetry = Telemetry::start();
        let server = serve_unreached(ServerLayer::new(), UnaryServer::new(Unreached)).await;
        for (path, body) in [(RPC, NOT_A_MESSAGE), ("made.Up/Path", NOT_A_MESSAGE)] {
            let channel: Channel = server.channel().await;
            let body = http_body_util::Full::from(body);
            let request = http::Request::post(format!("http://{}/{path}", server.address))
                .header("content-type", "application/grpc")
                .body(tonic::body::Body::new(body))
                .unwrap();
            tower::ServiceExt::oneshot(channel, request).await.unwrap();
        }
        let spans = telemetry.spans(2).await;
        assert_eq!((&*spans[0].name, &*spans[1].name), (RPC, "grpc"));
    }

    /// As tonic's build script writes it: a file of a package, with a service of one method.
    #[tokio::test]
    async fn has_its_name_from_the_start_by_its_descriptor() {
        fn field(number: u8, value: &[u8]) -> Vec<u8> {
            [&[number << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat()
        }
        let method = field(2, &field(1, b"Call"));
        let service = field(6, &[field(1, b"Unary"), method].concat());
        let set = field(1, &[field(2, b"kinds"), service].concat());

        let telemetry = Telemetry::start();
        let refuse = |_: Request<()>| Err(Status::unauthenticated("who are you?"));
        let layer = ServerLayer::new()
            .file_descriptor_set(&set)
            .file_descriptor_set(b"garbage");
        let server = Server::builder().layer(layer).layer(InterceptorLayer::new(refuse));
        let server = serve_with(server, Routes::new(UnaryServer::new(Unreached))).await;
        let (_, status) = call_to_end(server.channel().await, RPC, request("")).await;
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_is_named(&telemetry, "descriptor").await;
    }

    #[tokio::test]
    async fn has_no_name_if_an_interceptor_refuses_it() {
        let telemetry = Telemetry::start();
        let refuse = |_: Request<()>| Err(Status::internal("out of order"));
        let server = Server::builder()
            .layer(ServerLayer::new())
            .layer(InterceptorLayer::new(refuse));
        let server = serve_with(server, Routes::new(UnaryServer::new(Unreached))).await;
        call_to_end(server.channel().await, RPC, request("")).await;
        assert_eq!(telemetry.span().await.name, "grpc");
    }
}

/// A client without generated code, behind a proxy that sends headers first, whatever follows.
mod a_path_that_a_proxy_answers {
    use super::*;

    /// Answers with headers, these messages, and trailers with this code.
    async fn proxy(messages: &'static [&'static [u8]], code: i32) -> RunningServer {
        let answer = move || async move {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", code.into());
            let frames = messages
                .iter()
                .map(|message| http_body::Frame::data(Bytes::from_static(message)));
            let frames: Vec<_> = frames
                .chain([http_body::Frame::trailers(trailers)])
                .map(Ok::<_, Infallible>)
                .collect();
            let body = axum::body::Body::new(StreamBody::new(tokio_stream::iter(frames)));
            let mut response = http::Response::new(body);
            let headers = response.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            response
        };
        serve(Routes::from(axum::Router::new().fallback(answer))).await
    }

    #[tokio::test]
    async fn is_a_label_once_it_is_not_unimplemented() {
        const EMPTY: &[u8] = &[0; 5];
        for (messages, code, methods) in [
            (&[][..], 12, ["_OTHER", "_OTHER"]),
            (&[], 5, ["made.Up/Path", "made.Up/Path"]),
            (&[], 0, ["made.Up/Path", "made.Up/Path"]),
            (&[EMPTY], 0, ["made.Up/Path", "made.Up/Path"]),
        ] {
            let telemetry = Telemetry::start();
            let server = proxy(messages, code).await;
            let channel = ClientLayer::new("proxy").layer(server.channel().await);
            for _ in 0..2 {
                let mut client = tonic::client::Grpc::new(channel.clone());
                client.ready().await.unwrap();
                let path = http::uri::PathAndQuery::from_static("/made.Up/Path");
                let codec = tonic_prost::ProstCodec::<Message, Message>::default();
                let messages = Request::new(tokio_stream::once(Message::default()));
                if let Ok(replies) = client.streaming(messages, path, codec).await {
                    let mut replies = replies.into_inner();
                    while let Ok(Some(_)) = replies.message().await {}
                }
            }
            let spans = telemetry.spans(2).await;
            let found: Vec<_> = spans
                .iter()
                .map(|span| attributes(&span.attributes)["rpc.method"].clone())
                .collect();
            assert_eq!(found, methods, "{messages:?}, {code}");
        }
    }
}

mod targets_of_clients {
    use super::*;

    /// How many series of durations there are, with an address and without.
    async fn counts(layer: impl Fn(String) -> ClientLayer, targets: usize) -> (usize, usize) {
        let counted = CountingTelemetry::with_series(10_000);
        let server = serve(integration_tests::scripted::ScriptedService::default().routes()).await;
        let channel = server.channel().await;
        for number in 0..targets {
            let layer = layer(format!("pod-{number}.example")).instrumentation(counted.instrumentation.clone());
            call(layer.layer(channel.clone()), Kind::Unary, Request::new(""))
                .await
                .unwrap();
        }
        let found = counted.after(targets.try_into().unwrap()).await;
        let durations = &found["rpc.client.call.duration"];
        let total: i64 = durations.values().sum();
        assert_eq!(total, i64::try_from(targets).unwrap());
        let with = durations.keys().filter(|labels| labels.contains("pod-")).count();
        (with, durations.len() - with)
    }

    #[tokio::test]
    async fn have_a_limit() {
        let (with, without) = counts(ClientLayer::new, 1500).await;
        assert!((900..=1000).contains(&with), "{with}");
        assert_eq!(without, 1);
        assert_eq!(
            counts(|target| ClientLayer::new(target).metrics_without_target(), 3).await,
            (0, 1)
        );
    }

    #[tokio::test]
    async fn are_on_spans_in_any_case() {
        let telemetry = Telemetry::start();
        let server = serve(integration_tests::scripted::ScriptedService::default().routes()).await;
        let layer = ClientLayer::new("greeter.example:50051").metrics_without_target();
        call(layer.layer(server.channel().await), Kind::Unary, Request::new(""))
            .await
            .unwrap();
        let found = attributes(&telemetry.span().await.attributes);
        assert_eq!(
            (&*found["server.address"], &*found["server.port"]),
            ("greeter.example", "50051")
        );
        let metrics = telemetry.metrics();
        let [(point, ..)] = &metrics.client_durations()[..] else {
            panic!("{:?}", metrics.client_durations())
        };
        assert_eq!(point.get("server.address"), None);
    }
}
