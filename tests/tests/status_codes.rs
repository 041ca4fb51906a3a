//! What each of the 17 status codes means for the span and for the metric point of a server.

use opentelemetry::trace::Status as SpanStatus;
use otel_runtime::traced_service;
use tests::kinds::Message;
use tests::kinds::server_stream_client::ServerStreamClient;
use tests::kinds::server_stream_server::{ServerStream, ServerStreamServer};
use tests::kinds::unary_client::UnaryClient;
use tests::kinds::unary_server::{Unary, UnaryServer};
use tests::server::serve;
use tests::telemetry::{Attributes, Telemetry, attributes, expected};
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

/// The code, its name, and whether it is a failure of the server.
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

/// Fails with the code of the request, and a message that names the request.
struct Fails;

fn fail(request: &Request<Message>) -> Status {
    let code: i32 = request.get_ref().text.parse().unwrap();
    Status::new(Code::from(code), format!("as asked: {code}"))
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Fails {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        match fail(&request) {
            ok if ok.code() == Code::Ok => Ok(Response::new(request.into_inner())),
            status => Err(status),
        }
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Fails {
    type CallStream = tokio_stream::Iter<std::vec::IntoIter<Result<Message, Status>>>;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let status = fail(&request);
        let mut items = vec![Ok(request.into_inner())];
        if status.code() != Code::Ok {
            items.push(Err(status));
        }
        Ok(Response::new(tokio_stream::iter(items)))
    }
}

#[tokio::test]
async fn of_a_unary_rpc() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(UnaryServer::new(Fails))).await;
    let mut client = UnaryClient::new(server.channel().await);
    for (code, ..) in CODES {
        let text = (code as i32).to_string();
        let result = client.call(Message { text }).await;
        assert_eq!(result.map_or_else(|status| status.code(), |_| Code::Ok), code);
    }
    assert_as_the_conventions_say(&telemetry, "kinds.Unary/Call").await;
}

#[tokio::test]
async fn of_a_stream_that_ends_with_it() {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(ServerStreamServer::new(Fails))).await;
    let mut client = ServerStreamClient::new(server.channel().await);
    for (code, ..) in CODES {
        let text = (code as i32).to_string();
        let mut replies = client.call(Message { text }).await.unwrap().into_inner();
        replies.message().await.unwrap().unwrap();
        let end = replies.message().await;
        assert_eq!(end.map_or_else(|status| status.code(), |_| Code::Ok), code);
    }
    assert_as_the_conventions_say(&telemetry, "kinds.ServerStream/Call").await;
}

async fn assert_as_the_conventions_say(telemetry: &Telemetry, method: &str) {
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
        assert_eq!(*point, point_of(method, name, is_error));
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
async fn an_error_with_the_code_ok_is_ok_as_it_is_on_the_wire() {
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
