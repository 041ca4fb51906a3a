//! RPCs at a traced server, without a socket or a runtime.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use examples::helloworld::greeter_server::GreeterServer;
use http::Request;
use http_body_util::Full;
use otel_runtime::ServerLayer;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower_layer::Layer;
use tower_service::Service;

use crate::throughput::MyGreeter;

/// A request with the message `name: "Ada"`.
fn request() -> Request<Body> {
    let body = Body::new(Full::new(Bytes::from_static(b"\0\0\0\0\x05\x0a\x03Ada")));
    let mut request = Request::post("http://greeter.example:50051/helloworld.Greeter/SayHello")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("it is a request");
    request.extensions_mut().insert(TcpConnectInfo {
        local_addr: Some(([192, 0, 2, 1], 50051).into()),
        remote_addr: Some(([192, 0, 2, 7], 41952).into()),
    });
    request
}

/// Returns a function that serves this number of RPCs, with the attribute alone or behind a layer.
pub(crate) fn server(is_layered: bool) -> Box<dyn FnMut(u64)> {
    let mut routes = Routes::new(GreeterServer::new(MyGreeter)).prepare();
    if is_layered {
        let methods = ["helloworld.Greeter/SayHello"];
        let mut service = ServerLayer::new().known_methods(methods).layer(routes);
        Box::new(move |count| serve(&mut service, count))
    } else {
        Box::new(move |count| serve(&mut routes, count))
    }
}

fn serve<S, B>(service: &mut S, count: u64)
where
    S: Service<Request<Body>, Response = http::Response<B>>,
    B: http_body::Body,
{
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..count {
        let response = pin!(service.call(request())).poll(&mut context);
        let Poll::Ready(Ok(response)) = response else {
            panic!("the handler waits for nothing");
        };
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
    }
}
