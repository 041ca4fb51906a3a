//! RPCs from the request to the trailers of the response, without a socket or a runtime.

use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::str::FromStr;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::Frame;
use http_body_util::StreamBody;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use tonic::body::Body;
use tower::Service;

use crate::proto::Message;
use crate::proto::bench_client::BenchClient;
use crate::request::{MakeBody, PARENT, Requests, TEXT, TRACE, framed, peer, streamed, whole, with_authority};
use crate::sdk::Mode;

pub(crate) const MESSAGES: usize = 100;

/// Makes an RPC.
pub(crate) type Rpc = Box<dyn FnMut()>;

/// The kind of an RPC, and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Unary,
    /// A stream of [`MESSAGES`] messages.
    Stream,
    /// A unary RPC that fails.
    Error,
}

impl Shape {
    pub(crate) const ALL: [Shape; 3] = [Shape::Unary, Shape::Stream, Shape::Error];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Unary => "unary",
            Shape::Stream => "stream",
            Shape::Error => "error",
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Shape::Unary => "/bench.Bench/Unary",
            Shape::Stream => "/bench.Bench/Stream",
            Shape::Error => "/bench.Bench/Error",
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Shape::ALL.into_iter().find(|shape| shape.name() == name);
        found.ok_or_else(|| format!("no shape {name}"))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Returns the output of a future that is never pending for long: tonic yields now and then.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("nothing here has to wait")
}

/// Reads a body to its end, and returns the length of its data and the `grpc-status` of its
/// trailers.
fn read<B>(body: B) -> (usize, Option<HeaderValue>)
where
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    let mut body = pin!(body);
    let (mut length, mut status) = (0, None);
    while let Some(frame) = now(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx))) {
        match frame.expect("a frame").into_data() {
            Ok(data) => length += data.len(),
            Err(frame) => {
                status = frame
                    .into_trailers()
                    .ok()
                    .and_then(|mut trailers| trailers.remove("grpc-status"));
            }
        }
    }
    (length, status)
}

/// Returns RPCs to a server, from a caller with a span.
///
/// As hyper does, each request has an authority and the address of the client's socket.
pub(crate) fn to_server<S, B>(server: S, mode: Mode, shape: Shape) -> Rpc
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug> + Clone + 'static,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    with_addresses(server, whole, mode, shape)
}

/// Like [`to_server`], with requests of unknown length, as from a socket.
pub(crate) fn to_server_streamed<S, B>(server: S, mode: Mode, shape: Shape) -> Rpc
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug> + Clone + 'static,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    with_addresses(server, streamed, mode, shape)
}

fn with_addresses<S, B>(server: S, body: MakeBody, mode: Mode, shape: Shape) -> Rpc
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug> + Clone + 'static,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    let requests = Requests::new(with_authority(shape.path()), Some(peer()), body, mode);
    calls(server, move |message| requests.make(message), shape)
}

/// Returns RPCs to a server without an authority and the client's address.
pub(crate) fn to_server_without_addresses<S, B>(server: S, mode: Mode, shape: Shape) -> Rpc
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug> + Clone + 'static,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    let requests = Requests::new(shape.path().to_owned(), None, whole, mode);
    calls(server, move |message| requests.make(message), shape)
}

/// Returns RPCs to a server, each with the request that `make` makes of its message.
pub(crate) fn calls<S, B>(server: S, mut make: impl FnMut(Bytes) -> Request<Body> + 'static, shape: Shape) -> Rpc
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug> + Clone + 'static,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    let message = framed();
    let (expected_length, expected_status) = match shape {
        Shape::Unary => (message.len(), "0"),
        Shape::Stream => (message.len() * MESSAGES, "0"),
        Shape::Error => (0, "5"),
    };
    Box::new(move || {
        // tonic's server makes a request of its own for each call.
        let mut server = server.clone();
        now(std::future::poll_fn(|cx| server.poll_ready(cx))).expect("ready");
        let response = now(server.call(make(message.clone()))).expect("a response");
        let in_headers = response.headers().get("grpc-status").cloned();
        let (length, in_trailers) = read(response.into_body());
        let status = in_headers.or(in_trailers).expect("a status");
        assert!(length == expected_length && status == expected_status);
    })
}

/// Returns RPCs of a client, in a context with a span, to a server that does the least possible.
pub(crate) fn of_client<S, B>(channel: S, mode: Mode, shape: Shape) -> Rpc
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send> + Send + 'static,
{
    let uri = Uri::from_static("http://bench.example:50051");
    let mut client = BenchClient::with_origin(channel, uri);
    let flags = TraceFlags::default().with_sampled(mode.caller_is_sampled());
    let caller = SpanContext::new(TRACE.into(), PARENT.into(), flags, true, TraceState::NONE);
    let current = opentelemetry::Context::new().with_remote_span_context(caller);
    let with_context = mode.has_spans();
    let message = Message { text: TEXT.to_owned() };
    Box::new(move || {
        let _current = with_context.then(|| current.clone().attach());
        let request = message.clone();
        match shape {
            Shape::Unary => {
                let reply = now(client.unary(request)).expect("a reply");
                assert_eq!(reply.into_inner().text, TEXT);
            }
            Shape::Stream => {
                let mut replies = now(client.stream(request)).expect("replies").into_inner();
                let mut count = 0;
                while now(replies.message()).expect("a reply").is_some() {
                    count += 1;
                }
                assert_eq!(count, MESSAGES);
            }
            Shape::Error => {
                let status = now(client.error(request)).expect_err("an error");
                assert_eq!(status.code(), tonic::Code::NotFound);
            }
        }
    })
}

/// A server that answers with a response whose body is ready.
#[derive(Clone)]
pub(crate) struct Answers(Bytes);

impl Answers {
    pub(crate) fn new() -> Self {
        Answers(framed())
    }
}

impl Service<Request<Body>> for Answers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let is = |shape: Shape| path == shape.path();
        let count = if is(Shape::Stream) { MESSAGES } else { 1 };
        let is_error = is(Shape::Error);
        read(request.into_body());
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        let body = if is_error {
            headers.insert("grpc-status", HeaderValue::from_static("5"));
            headers.insert("grpc-message", HeaderValue::from_static("no%20such%20thing"));
            Body::empty()
        } else {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let data = std::iter::repeat_n(self.0.clone(), count).map(Frame::data);
            let frames = data.chain(std::iter::once(Frame::trailers(trailers)));
            Body::new(StreamBody::new(tokio_stream::iter(frames.map(Ok::<_, Infallible>))))
        };
        let mut response = Response::new(body);
        *response.headers_mut() = headers;
        std::future::ready(Ok(response))
    }
}
