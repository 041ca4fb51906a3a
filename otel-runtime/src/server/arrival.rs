//! The arrival of a request at a server's layer: its call starts, is deferred, or joins that of an
//! outer layer.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{Request, Version};
use http_body::Body;
use opentelemetry::KeyValue;

use super::layer::ServerLayer;
use super::request::{ConnectionAddrs, IncomingRequest, is_otlp_path};
use super::start::start_call;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::grpc::content_type::is_grpc;
use crate::grpc::path::service_and_method;
use crate::grpc::request_headers::KnownHeaders;
use crate::grpc::side::Direction;
use crate::guard;
use crate::instrumentation::InstrumentationRef;
use crate::layer::request::RpcRequest;
use crate::rpc::call::{CallParams, UnresolvedMethod};
use crate::rpc::current::{self, ActiveCall, Found, InnerWord};
use crate::rpc::message_sizes::MessageSizes;
use crate::rpc::origin::{RequestOrigin, client_mark, set_client_mark};
use crate::rpc::request_body;

/// Returns `true` if the body of a request may end early, as it comes over a socket.
///
/// The body of one that a program makes of a message is in memory, and needs no allocation to watch
/// it: its length is known, no header has it, and tonic-web has not removed that header (it leaves
/// an `accept-encoding`).
#[inline]
fn is_from_socket<B: 'static>(request: &Request<B>) -> bool {
    let body: &dyn Any = request.body();
    body.downcast_ref::<tonic::body::Body>()
        .is_some_and(|body| body.size_hint().exact().is_none())
        || request.version() != Version::HTTP_2
        || request
            .headers()
            .keys()
            .any(|name| *name == CONTENT_LENGTH || *name == ACCEPT_ENCODING)
}

/// Path and identity of a request, and what has happened to it if its call starts later.
struct Arrival<'a> {
    path: &'a str,
    origin: RequestOrigin,
    /// The time of arrival, and what has been found out since.
    deferred: Option<(Instant, Found)>,
}

impl ServerLayer {
    /// Starts the call of a request.
    ///
    /// Returns `None` if another layer has started its call, or if it cannot be gRPC.
    pub(super) fn start<B: 'static>(
        self: &Arc<Self>,
        request: &mut Request<B>,
        captured: &'static CapturedHeaders,
    ) -> Option<ActiveCall> {
        if current::is_of_outer_layer(client_mark(request.extensions())) {
            self.join(request, captured);
            return None;
        }
        let client_mark = set_client_mark(request.extensions_mut());
        let is_grpc = is_grpc(request.headers());
        if !is_grpc || self.may_be_public_inside(request.uri().path()) {
            return self.defer(request, is_grpc, client_mark, captured);
        }
        let mut call = self.start_arrived(request, client_mark, captured, None);
        if let Some(call) = call.recorded()
            && (call.message_sizes().is_some() || is_from_socket(request))
        {
            let counter = call.message_sizes().map(|sizes| sizes.counter(Direction::Received));
            request_body::wrap(request.body_mut(), counter, || Some(call.watch_request()));
        }
        Some(call)
    }

    /// Returns `true` if an inner layer may distrust a caller that this layer trusts.
    #[inline]
    fn may_be_public_inside(&self, path: &str) -> bool {
        !self.is_always_public && self.inner.may_meet(path, self.public_endpoint.is_some())
    }

    /// Defers the call of a request until a gRPC handler serves it, or an inner layer meets it.
    ///
    /// tonic ignores the `content-type` of a request. So callers choose it, and must not escape
    /// what the layer says of them.
    #[cold]
    fn defer<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        is_grpc: bool,
        client_mark: usize,
        captured: &'static CapturedHeaders,
    ) -> Option<ActiveCall> {
        if !is_grpc {
            service_and_method(request.uri().path())?;
        }
        let (layer, arrived) = (Arc::clone(self), Instant::now());
        let mut head = Request::new(());
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        *head.extensions_mut() = request.extensions().clone();
        let start = move |found| layer.start_arrived(&mut head, client_mark, captured, Some((arrived, found)));
        Some(ActiveCall::deferred(
            RequestOrigin::of_layer(client_mark),
            is_grpc,
            start,
        ))
    }

    /// Joins the call of an outer layer.
    ///
    /// The stricter of the two decides whether the caller is trusted. Attributes and request
    /// headers are added to those of the outer layer.
    #[cold]
    fn join<B>(&self, request: &Request<B>, captured: &'static CapturedHeaders) {
        let rpc_request = RpcRequest::from_http(request);
        let is_filtered = !self.options.should_record(&rpc_request);
        if current::is_deferred() {
            current::start_deferred(Found {
                has_service: true,
                inner_layer: Some(InnerWord {
                    is_public: self.is_public(&rpc_request),
                    is_filtered,
                }),
            });
        } else if is_filtered {
            self.warn_of_outer_layer("filter");
        }
        for (option, is_set) in [
            ("response_headers", !captured.response_headers.is_empty()),
            ("response_trailers", !captured.response_trailers.is_empty()),
            ("instrumentation", self.options.instrumentation.is_some()),
            ("message_sizes", self.message_sizes),
        ] {
            if is_set {
                self.warn_of_outer_layer(option);
            }
        }
        current::take_recorded(|call| {
            self.options.add_span_attributes(call, &rpc_request);
            let outer = call.layer_headers().map(|captured| &captured.request_headers);
            call.set_attributes(|| {
                let attributes = captured.request_headers.attributes(request.headers());
                let is_new = |attribute: &KeyValue| !outer.is_some_and(|outer| outer.has(&attribute.key));
                attributes.filter(is_new).collect::<Vec<_>>()
            });
        });
    }

    #[allow(clippy::unused_self)]
    fn warn_of_outer_layer(&self, option: &str) {
        static WARNED: AtomicBool = AtomicBool::new(false);

        if !WARNED.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "otel_runtime",
                "`{option}` has no effect on a `ServerLayer` inside another one: set it on the outer layer (logged once)"
            );
        }
    }

    fn is_public(&self, request: &RpcRequest<'_>) -> bool {
        self.public_endpoint
            .as_ref()
            .is_some_and(|is_public| guard::PUBLIC_ENDPOINT.run(|| is_public(request)).unwrap_or(true))
    }

    fn start_arrived<B>(
        &self,
        request: &mut Request<B>,
        client_mark: usize,
        captured: &'static CapturedHeaders,
        deferred: Option<(Instant, Found)>,
    ) -> ActiveCall {
        let instrumentation = self.options.instrumentation();
        let addrs = if instrumentation.has_tracer() || is_otlp_path(request.uri().path()) {
            ConnectionAddrs::from_http(request)
        } else {
            ConnectionAddrs::default()
        };
        let addrs = || addrs;
        let incoming = IncomingRequest::from_http(request, &addrs);
        let arrival = Arrival {
            path: request.uri().path(),
            origin: RequestOrigin::of_layer(client_mark),
            deferred,
        };
        self.start_incoming(&arrival, &incoming, instrumentation, captured)
    }

    // Not generic, so that it is compiled once.
    fn start_incoming(
        &self,
        &Arrival { path, origin, deferred }: &Arrival<'_>,
        incoming: &IncomingRequest<'_>,
        instrumentation: InstrumentationRef,
        captured: &'static CapturedHeaders,
    ) -> ActiveCall {
        if incoming.is_local_otlp_export(path) {
            return ActiveCall::local_export(origin);
        }
        let request = RpcRequest::new(path, incoming.headers, incoming.extensions);
        let found = deferred.map_or_else(Found::default, |(_, found)| found);
        if found.has_service {
            self.inner.learn(path, found.inner_layer.is_some());
        }
        if found.inner_layer.is_some_and(|inner| inner.is_filtered) || !self.options.should_record(&request) {
            let caller = instrumentation.extract(incoming.headers, &KnownHeaders::scan(incoming.headers));
            return ActiveCall::filtered(origin, caller.unwrap_or_else(opentelemetry::Context::current));
        }
        let method = self.registry.get(path);
        let is_public = found.inner_layer.is_some_and(|inner| inner.is_public) || self.is_public(&request);
        let params = CallParams {
            method: method.unwrap_or_else(|| self.registry.fallback()),
            unresolved: method.is_none().then(|| UnresolvedMethod {
                path: Box::from(path),
                registry: Arc::clone(&self.registry),
                expects_answer: false,
            }),
            message_sizes: MessageSizes::new_if_enabled(&instrumentation, method, self.message_sizes),
            instrumentation,
            layer_headers: Some(captured),
            handler_headers: None,
            origin,
            arrived: deferred.map(|(arrived, _)| arrived),
        };
        let call = start_call(params, is_public, incoming, &captured.request_headers);
        self.options.add_span_attributes(&call, &request);
        ActiveCall::Recorded(call)
    }
}
