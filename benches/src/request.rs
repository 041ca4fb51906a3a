//! Requests as a server gets them.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;

use crate::proto::Message;
use crate::sdk::Mode;

pub(crate) const TEXT: &str = "Hello, world!";
pub(crate) const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
pub(crate) const PARENT: u64 = 0x00f0_67aa_0ba9_02b7;

/// A message as gRPC frames it.
pub(crate) fn framed() -> Bytes {
    let message = prost::Message::encode_to_vec(&Message { text: TEXT.to_owned() });
    let length = u32::try_from(message.len()).expect("a short message");
    [&[0][..], &length.to_be_bytes(), &message].concat().into()
}

/// Makes the body of a request with one framed message.
pub(crate) type MakeBody = fn(Bytes) -> Body;

pub(crate) fn whole(message: Bytes) -> Body {
    Body::new(Full::new(message))
}

pub(crate) fn streamed(message: Bytes) -> Body {
    let frame = Ok::<_, Infallible>(Frame::data(message));
    Body::new(StreamBody::new(tokio_stream::once(frame)))
}

/// Returns the body of a request that has sent nothing yet.
pub(crate) fn open(_: Bytes) -> Body {
    let frames = tokio_stream::pending::<Result<Frame<Bytes>, Infallible>>();
    Body::new(StreamBody::new(frames))
}

/// Returns the URI of a request over a socket.
pub(crate) fn with_authority(path: &str) -> String {
    format!("http://bench.example:50051{path}")
}

/// Returns the addresses of a client's socket.
pub(crate) fn peer() -> TcpConnectInfo {
    TcpConnectInfo {
        local_addr: Some(SocketAddr::from(([10, 0, 0, 1], 50051))),
        remote_addr: Some(SocketAddr::from(([192, 0, 2, 7], 41952))),
    }
}

/// Requests of a caller with a span.
pub(crate) struct Requests {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    peer: Option<TcpConnectInfo>,
    body: MakeBody,
}

impl Requests {
    pub(crate) fn new(uri: String, peer: Option<TcpConnectInfo>, body: MakeBody, mode: Mode) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("user-agent", HeaderValue::from_static("bench/1"));
        let sampled = u8::from(mode.caller_is_sampled());
        let parent = format!("00-{TRACE:032x}-{PARENT:016x}-{sampled:02x}");
        headers.insert("traceparent", parent.parse().expect("a header"));
        Requests {
            uri: Uri::try_from(uri).expect("a URI"),
            headers,
            peer,
            body,
        }
    }

    /// Makes a request with this message.
    // Never inlined, so that it costs the same whatever the server is.
    #[inline(never)]
    pub(crate) fn make(&self, message: Bytes) -> Request<Body> {
        let mut request = Request::new((self.body)(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.headers.clone();
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        request
    }
}
