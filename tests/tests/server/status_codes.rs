//! Spans and metrics of a server for each of the 17 status codes, with the attribute and the layer.

use integration_tests::coverage::{Coverage, RPCS, STREAMING};
use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::{Attributes, Telemetry, attributes, expected};
use opentelemetry::trace::Status as SpanStatus;
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

/// The status codes, their names, and whether they are errors of the server.
const CODES: [(Code, &str, bool); 17] = [
    (Code::Ok, "OK", false),
    (Code::Cancelled, "CANCELLED", false),
    (Code::Unknown, "UNKNOWN", true),
    (Code::InvalidArgument, "INVALID_ARGUMENT", false),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", true),
    (Code::NotFound, "NOT_FOUND", false),
    (Code::AlreadyExists, "ALREADY_EXISTS", false),
    (Code::PermissionDenied, "PERMISSION_DENIED", false),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED", false),
    (Code::FailedPrecondition, "FAILED_PRECONDITION", false),
    (Code::Aborted, "ABORTED", false),
    (Code::OutOfRange, "OUT_OF_RANGE", false),
    (Code::Unimplemented, "UNIMPLEMENTED", true),
    (Code::Internal, "INTERNAL", true),
    (Code::Unavailable, "UNAVAILABLE", true),
    (Code::DataLoss, "DATA_LOSS", true),
    (Code::Unauthenticated, "UNAUTHENTICATED", false),
];

async fn each_kind_of_rpc(coverage: Coverage) {
    for rpc in RPCS {
        assert_each_code(coverage, rpc, "").await;
    }
}

async fn end_of_a_response_stream(coverage: Coverage) {
    for rpc in STREAMING {
        assert_each_code(coverage, rpc, "later ").await;
    }
}

#[tokio::test]
async fn with_the_attribute() {
    each_kind_of_rpc(Coverage::Attribute).await;
    end_of_a_response_stream(Coverage::Attribute).await;
}

#[tokio::test]
async fn with_the_layer() {
    each_kind_of_rpc(Coverage::Layer).await;
    end_of_a_response_stream(Coverage::Layer).await;
}

#[tokio::test]
async fn with_both() {
    each_kind_of_rpc(Coverage::Both).await;
    end_of_a_response_stream(Coverage::Both).await;
}

async fn assert_each_code(coverage: Coverage, rpc: &str, when: &str) {
    let telemetry = Telemetry::start();
    let server = coverage.serve(&ScriptedService::default()).await;
    let channel = server.channel().await;
    for (code, ..) in CODES {
        let text = format!("{when}{}", code as i32);
        let (_, status) = call_to_end(channel.clone(), rpc, request(&text)).await;
        assert_eq!(status.code(), code);
    }

    let spans = telemetry.spans(CODES.len()).await;
    let points = telemetry.metrics().durations();
    assert_eq!(points.len(), CODES.len());
    for ((code, name, is_error), span) in CODES.into_iter().zip(spans) {
        let found = attributes(&span.attributes);
        assert_eq!(found["rpc.status_code"], name);
        if is_error {
            assert_eq!(found["error.type"], name);
            assert_eq!(span.status, SpanStatus::error(format!("as asked: {}", code as i32)));
        } else {
            assert_eq!(found.get("error.type"), None, "{name}");
            assert_eq!(span.status, SpanStatus::Unset, "{name}");
        }

        let point: Vec<_> = points
            .iter()
            .filter(|(point, ..)| point["rpc.status_code"] == name)
            .collect();
        let [(point, count, _)] = point[..] else {
            panic!("{name}: {point:?}")
        };
        assert_eq!(*point, point_of(rpc, name, is_error));
        assert_eq!(*count, 1);
    }
}

fn point_of(method: &str, code: &str, is_error: bool) -> Attributes {
    let mut point = expected([
        ("rpc.system.name", "grpc"),
        ("rpc.method", method),
        ("rpc.status_code", code),
    ]);
    if is_error {
        point.insert("error.type".to_owned(), code.to_owned());
    }
    point
}

#[tokio::test]
async fn error_with_the_code_ok_is_ok() {
    struct ErrOk;
    #[traced_service]
    #[tonic::async_trait]
    impl Unary for ErrOk {
        async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
            Err(Status::ok("odd"))
        }
    }
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(ErrOk))).await;
    let _ = UnaryClient::new(server.channel().await).call(Message::from("")).await;

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::Unset);
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
}
