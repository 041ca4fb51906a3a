//! Instrumented clients, and RPCs of all four kinds.

use std::net::SocketAddr;

use otel_runtime::TracedChannel;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Body as HttpBody, Bytes, StdError};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};

use crate::kinds::Message;
use crate::kinds::bidi_client::BidiClient;
use crate::kinds::client_stream_client::ClientStreamClient;
use crate::kinds::server_stream_client::ServerStreamClient;
use crate::kinds::unary_client::UnaryClient;
use crate::server::RunningServer;
use crate::telemetry::{Attributes, expected};

/// A kind of RPC, each of which has its own service in [`kinds`](crate::kinds).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Unary,
    ServerStream,
    ClientStream,
    Bidi,
}

impl Kind {
    /// All variants.
    pub const ALL: [Kind; 4] = [Kind::Unary, Kind::ServerStream, Kind::ClientStream, Kind::Bidi];

    /// Returns the full method name.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Kind::Unary => "kinds.Unary/Call",
            Kind::ServerStream => "kinds.ServerStream/Call",
            Kind::ClientStream => "kinds.ClientStream/Call",
            Kind::Bidi => "kinds.Bidi/Call",
        }
    }

    /// Returns whether the request is a stream.
    #[must_use]
    pub fn requests_a_stream(self) -> bool {
        matches!(self, Kind::ClientStream | Kind::Bidi)
    }

    /// Returns whether the response is a stream.
    #[must_use]
    pub fn replies_with_a_stream(self) -> bool {
        matches!(self, Kind::ServerStream | Kind::Bidi)
    }
}

/// The status codes with their values of `rpc.status_code`.
pub const CODES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

/// Returns the value of `rpc.status_code` for a code.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    CODES[code as usize].1
}

/// Returns the endpoint of a server at `address`.
#[must_use]
pub fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// Connects to `server` with an instrumented channel.
pub async fn connect(server: &RunningServer) -> TracedChannel {
    TracedChannel::connect(endpoint(server.address)).await.unwrap()
}

/// Calls with one message, reads the response to its end, and returns the number of messages.
///
/// # Errors
///
/// Returns the RPC's status if it is not OK.
pub async fn call<T>(channel: T, kind: Kind, request: Request<&str>) -> Result<usize, Status>
where
    T: GrpcService<Body, Error: Into<StdError>>,
    T::ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    match kind {
        Kind::Unary => {
            let request = request.map(Message::from);
            UnaryClient::new(channel).call(request).await.map(|_| 1)
        }
        Kind::ClientStream => {
            let request = request.map(|text| tokio_stream::once(Message::from(text)));
            ClientStreamClient::new(channel).call(request).await.map(|_| 1)
        }
        Kind::ServerStream | Kind::Bidi => read(&mut open(channel, kind, request).await?).await,
    }
}

/// Calls with one message, and returns the response stream unread.
///
/// # Errors
///
/// Returns the RPC's status if it fails before the response.
pub async fn open<T>(channel: T, kind: Kind, request: Request<&str>) -> Result<Streaming<Message>, Status>
where
    T: GrpcService<Body, Error: Into<StdError>>,
    T::ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
{
    let response = match kind {
        Kind::ServerStream => {
            let request = request.map(Message::from);
            ServerStreamClient::new(channel).call(request).await?
        }
        Kind::Bidi => {
            let request = request.map(|text| tokio_stream::once(Message::from(text)));
            BidiClient::new(channel).call(request).await?
        }
        Kind::Unary | Kind::ClientStream => panic!("{kind:?} has no stream"),
    };
    Ok(response.into_inner())
}

/// Reads a response stream to its end, and returns the number of messages.
///
/// # Errors
///
/// Returns the RPC's status if it is not OK.
pub async fn read(replies: &mut Streaming<Message>) -> Result<usize, Status> {
    let mut count = 0;
    while replies.message().await?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Returns the expected attributes of a client's span and of its duration, which are equal.
#[must_use]
pub fn client_attributes(method: &str, server: SocketAddr, code: &str, error: Option<&str>) -> Attributes {
    let (address, port) = (server.ip().to_string(), server.port().to_string());
    let mut attributes = expected([
        ("rpc.system.name", "grpc"),
        ("rpc.method", method),
        ("rpc.status_code", code),
        ("server.address", &address),
        ("server.port", &port),
    ]);
    attributes.extend(error.map(|error| ("error.type".to_owned(), error.to_owned())));
    attributes
}
