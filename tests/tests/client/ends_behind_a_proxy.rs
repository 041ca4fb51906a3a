//! A client's RPC ends as its caller is told, whoever answers: a proxy, a server that breaks off,
//! or a reply that the client's codec refuses.

use std::task::{Context, Poll};

use axum::response::IntoResponse;
use integration_tests::client::{Kind, call, code_name, connect, open};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use otel_runtime::{ClientLayer, ServerLayer};
use tonic::codegen::http;
use tonic::service::Routes;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tower::Layer;

/// A server that answers everything with this.
async fn serve_answer<R>(answer: impl Fn() -> R + Clone + Send + Sync + 'static) -> RunningServer
where
    R: IntoResponse + Send + 'static,
{
    let answer = move || {
        let response = answer();
        async move { response }
    };
    serve(Routes::from(axum::Router::new().fallback(answer))).await
}

/// The one client span and the one duration have this code; returns the description.
async fn assert_ended(telemetry: &Telemetry, code: &str, what: &str) -> String {
    let span = telemetry.span().await;
    assert_eq!(span.span_kind, SpanKind::Client);
    let found = attributes(&span.attributes);
    assert_eq!(found["rpc.status_code"], code, "{what}: {:?}", span.status);
    assert_eq!(found["error.type"], code, "{what}");
    let metrics = telemetry.metrics();
    let [(point, 1, _)] = &metrics.client_durations()[..] else {
        panic!("{what}: {:?}", metrics.client_durations())
    };
    assert_eq!(
        (&*point["rpc.status_code"], &*point["error.type"]),
        (code, code),
        "{what}"
    );
    assert_eq!(metrics.client_active_request_count(), 0);
    match span.status {
        SpanStatus::Error { description } => description.into_owned(),
        other => panic!("{what}: {other:?}"),
    }
}

mod an_answer_that_is_not_grpc {
    use super::*;

    const PAGES: [(u16, Code); 12] = [
        (200, Code::Unknown),
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (408, Code::Unknown),
        (413, Code::Unknown),
        (429, Code::Unavailable),
        (500, Code::Unknown),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
    ];

    #[tokio::test]
    async fn has_the_code_of_its_http_status() {
        for (status, code) in PAGES {
            for (content_type, page) in [
                ("text/html", "<html><body>sorry</body></html>"),
                ("application/json", r#"{"error": "sorry"}"#),
                ("text/plain", "no"),
            ] {
                for kind in Kind::ALL {
                    let telemetry = Telemetry::start();
                    let http_status = http::StatusCode::from_u16(status).unwrap();
                    let server = serve_answer(move || (http_status, [("content-type", content_type)], page)).await;
                    let what = format!("{status}, {content_type}, {kind:?}");
                    call(connect(&server).await, kind, Request::new("")).await.unwrap_err();
                    let description = assert_ended(&telemetry, code_name(code), &what).await;
                    let named = format!("HTTP status {http_status}");
                    assert!(description.contains(&named), "{what}: {description}");
                }
            }
        }
    }
}

mod a_reply_that_is_refused {
    use super::*;

    fn grpc(encoding: Option<&'static str>, body: &'static [u8]) -> impl Fn() -> axum::response::Response + Clone {
        move || {
            let mut response = axum::body::Body::from(body).into_response();
            let headers = response.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            if let Some(encoding) = encoding {
                headers.insert("grpc-encoding", encoding.parse().unwrap());
            }
            response
        }
    }

    #[tokio::test]
    async fn ends_as_its_caller_is_told() {
        const MESSAGE: &[u8] = b"\0\0\0\0\x03\x0a\x01a";
        for (what, encoding, body, code) in [
            (
                "compressed without an encoding",
                None,
                &b"\x01\0\0\0\x03\x0a\x01a"[..],
                Code::Internal,
            ),
            (
                "an encoding that was not offered",
                Some("gzip"),
                MESSAGE,
                Code::Unimplemented,
            ),
            ("another such encoding", Some("br"), MESSAGE, Code::Unimplemented),
            ("cut in a head", None, &b"\0\0\0"[..], Code::Internal),
            ("cut in a message", None, &b"\0\0\0\0\x03\x0a"[..], Code::Internal),
            ("too large", None, &b"\0\xff\0\0\0\x0a"[..], Code::OutOfRange),
        ] {
            for kind in Kind::ALL {
                let telemetry = Telemetry::start();
                let server = serve_answer(grpc(encoding, body)).await;
                let status = call(connect(&server).await, kind, Request::new("")).await.unwrap_err();
                assert_eq!(status.code(), code, "{what}, {kind:?}");
                assert_ended(&telemetry, code_name(code), &format!("{what}, {kind:?}")).await;
            }
        }
    }

    struct Large;

    #[tonic::async_trait]
    impl Unary for Large {
        async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
            Ok(Response::new(Message::from(&*"a".repeat(100_000))))
        }
    }

    #[tokio::test]
    async fn for_its_size_ends_with_out_of_range() {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(UnaryServer::new(Large))).await;
        let mut client = UnaryClient::new(connect(&server).await).max_decoding_message_size(1000);
        let status = client.call(Message::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
        let description = assert_ended(&telemetry, "OUT_OF_RANGE", "too large").await;
        assert!(description.contains("100004"), "{description}");
    }
}

mod a_client_that_drops_a_stream {
    use super::*;

    /// The codes of both sides, client first, after the client has read `messages`.
    async fn codes(kind: Kind, text: &'static str, messages: usize) -> [String; 2] {
        let telemetry = Telemetry::start();
        let server = Server::builder().layer(ServerLayer::new());
        let server = serve_with(server, ScriptedService::default().routes()).await;
        // Whoever makes the other RPC is not recorded.
        let plain = server.channel().await;
        let channel = ClientLayer::new("here").layer(plain.clone());
        let mut replies = open(channel, kind, Request::new(text)).await.unwrap();
        for _ in 0..messages {
            replies.message().await.unwrap().unwrap();
        }
        // Everything that the server sent before the reply to another RPC on the connection has
        // arrived before that.
        call(plain, Kind::Unary, Request::new("")).await.unwrap();
        drop(replies);
        let spans = telemetry.spans(3).await;
        let of = |kind: SpanKind| {
            let mut spans = spans
                .iter()
                .filter(|span| span.span_kind == kind && span.name != "kinds.Unary/Call");
            attributes(&spans.next().unwrap().attributes)["rpc.status_code"].clone()
        };
        [of(SpanKind::Client), of(SpanKind::Server)]
    }

    #[tokio::test]
    async fn behind_its_last_message_has_ended_as_the_trailers_say() {
        for kind in [Kind::ServerStream, Kind::Bidi] {
            assert_eq!(codes(kind, "hello", 1).await, ["OK", "OK"], "{kind:?}");
            assert_eq!(codes(kind, "later 5", 1).await, ["NOT_FOUND", "NOT_FOUND"], "{kind:?}");
        }
    }

    #[tokio::test]
    async fn before_its_end_has_cancelled() {
        for kind in [Kind::ServerStream, Kind::Bidi] {
            assert_eq!(
                codes(kind, "later wait", 1).await,
                ["CANCELLED", "CANCELLED"],
                "{kind:?}"
            );
            // The server has handed all of it to the connection.
            assert_eq!(codes(kind, "hello", 0).await, ["CANCELLED", "OK"], "{kind:?}");
        }
    }
}

/// A channel whose connection is gone, say.
mod a_service_that_is_not_ready {
    use super::*;

    #[derive(Clone)]
    struct NeverReady {
        pending: usize,
    }

    impl tower::Service<http::Request<tonic::body::Body>> for NeverReady {
        type Response = http::Response<tonic::body::Body>;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            if self.pending > 0 {
                self.pending -= 1;
                cx.waker().wake_by_ref();
                std::thread::sleep(std::time::Duration::from_millis(20));
                return Poll::Pending;
            }
            Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()))
        }

        fn call(&mut self, _: http::Request<tonic::body::Body>) -> Self::Future {
            panic!("called, and not ready")
        }
    }

    #[tokio::test]
    async fn fails_a_call_that_is_recorded() {
        for pending in [0, 2] {
            let telemetry = Telemetry::start();
            let service = NeverReady { pending };
            let without = call(
                tower::ServiceExt::<http::Request<tonic::body::Body>>::map_err(service.clone(), |error| {
                    Status::from_error(error.into())
                }),
                Kind::Unary,
                Request::new(""),
            );
            let without = without.await.unwrap_err();
            let channel = ClientLayer::new("here").layer(service);
            let status = call(channel, Kind::Unary, Request::new("")).await.unwrap_err();
            assert_eq!((status.code(), status.message()), (without.code(), without.message()));

            let span = telemetry.span().await;
            let found = attributes(&span.attributes);
            assert_eq!(found["rpc.method"], "kinds.Unary/Call");
            assert_eq!(
                (&*found["rpc.status_code"], &*found["error.type"]),
                ("UNKNOWN", "not_connected")
            );
            assert_eq!(span.status, SpanStatus::error(status.message().to_owned()));
            let metrics = telemetry.metrics();
            let [(_, 1, seconds)] = metrics.client_durations()[..] else {
                panic!("{:?}", metrics.client_durations())
            };
            assert_eq!(metrics.client_active_request_count(), 0);
            // Waiting is part of it.
            let waited = seconds >= 0.02;
            assert_eq!(waited, pending > 0, "{seconds}");
            let length = span.end_time.duration_since(span.start_time).unwrap().as_secs_f64();
            assert!((length - seconds).abs() < 1e-6, "{length} and {seconds}");
        }
    }

    /// A channel that is not ready at first.
    #[derive(Clone)]
    struct LateOnce {
        is_late: bool,
        channel: Channel,
    }

    impl tower::Service<http::Request<tonic::body::Body>> for LateOnce {
        type Response = http::Response<tonic::body::Body>;
        type Error = tonic::transport::Error;
        type Future = <Channel as tower::Service<http::Request<tonic::body::Body>>>::Future;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            if std::mem::take(&mut self.is_late) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.channel.poll_ready(cx)
        }

        fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
            self.channel.call(request)
        }
    }

    #[tokio::test]
    async fn and_later_calls_are_their_own() {
        let telemetry = Telemetry::start();
        let server = serve(ScriptedService::default().routes()).await;
        let channel = server.channel().await;
        let service = LateOnce { is_late: true, channel };
        let mut client = UnaryClient::new(ClientLayer::new("here").layer(service));
        for _ in 0..2 {
            client.call(Message::from("")).await.unwrap();
        }
        let [first, second] = &telemetry.spans(2).await[..] else {
            panic!("two calls")
        };
        assert!(first.end_time <= second.start_time, "{first:?} {second:?}");
    }
}
