//! The arrival of a request at a server's layer: its call starts or is deferred.

use std::any::Any;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{Request, Version};
use http_body::Body;
use opentelemetry::Context;
use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};

use super::layer::ServerLayer;
use super::request::{ConnectionAddrs, IncomingRequest, is_otlp_path};
use super::start::start_call;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::clock::Instant;
use crate::grpc::content_type::is_grpc;
use crate::grpc::path::service_and_method;
use crate::grpc::request_headers::KnownHeaders;
use crate::grpc::side::Direction;
use crate::guard;
use crate::instrumentation::InstrumentationRef;
use crate::layer::request::RpcRequest;
use crate::rpc::active_call::{ActiveCall, LateStart};
use crate::rpc::call::{Call, CallParams, UnresolvedMethod};
use crate::rpc::call_log::Remote;
use crate::rpc::call_options::{RequestFacts, previous_attempts};
use crate::rpc::current;
use crate::rpc::message_sizes::BodyCounter;
use crate::rpc::origin::{RequestOrigin, client_mark, mark_unseen};
use crate::rpc::request_body;
use crate::rpc::request_end::RequestEnd;

/// Path and identity of a request, and what has happened to it if its call starts later.
struct Arrival<'a> {
    path: &'a str,
    origin: RequestOrigin,
    /// The time of arrival, and how far the request has come since.
    deferred: Option<(Instant, LateStart)>,
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
        let client_mark = client_mark(request.extensions());
        let mut call = if current::is_of_outer_layer(client_mark) {
            self.join(request, captured)?
        } else {
            let client_mark = mark_unseen(request.extensions_mut(), client_mark);
            let is_grpc = is_grpc(request.headers());
            if !is_grpc || self.inner_paths.may_meet(request.uri().path()) {
                return self.defer(request, is_grpc, client_mark, captured);
            }
            let call = self.start_arrived(request, self.origin(client_mark), captured, None);
            if self.tracing_span {
                current::enter(&call);
            }
            call
        };
        if let Some(call) = call.recorded() {
            if call.is_unresolved() {
                self.marks.mark(request.extensions_mut());
            }
            if call.extras().watches_request() || is_from_socket(request) {
                let counter = call.extras().request_counter(Direction::Received);
                request_body::wrap(request.body_mut(), counter, |counts| Some(call.watch_request(counts)));
            }
        }
        Some(call)
    }

    /// Identifies a request that this layer got.
    #[inline]
    fn origin(self: &Arc<Self>, client_mark: usize) -> RequestOrigin {
        RequestOrigin::at_layer(client_mark, Arc::as_ptr(self).addr())
    }

    /// Defers the call of a request until a gRPC handler serves it, or an inner layer meets it.
    ///
    /// tonic ignores the `content-type` of a request. So callers choose it, and must not escape
    /// what the layer says of them.
    #[cold]
    fn defer<B: 'static>(
        self: &Arc<Self>,
        request: &mut Request<B>,
        is_grpc: bool,
        client_mark: usize,
        captured: &'static CapturedHeaders,
    ) -> Option<ActiveCall> {
        if !is_grpc {
            service_and_method(request.uri().path())?;
        }
        let (layer, origin, arrived) = (Arc::clone(self), self.origin(client_mark), Instant::now());
        let mut head = Request::new(());
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        *head.extensions_mut() = request.extensions().clone();
        let mut end = None;
        if self.options.counts_by_method() || is_from_socket(request) {
            let counter = self.options.counts_messages();
            let counter = counter.then(|| BodyCounter::new(Direction::Received));
            request_body::wrap(request.body_mut(), counter, |counts| {
                let watched = if counts {
                    RequestEnd::take_counting(None)
                } else {
                    RequestEnd::take()
                };
                Some(Arc::clone(end.insert(watched)))
            });
        }
        let start = move |late| {
            let mut call = layer.start_arrived(&mut head, origin, captured, Some((arrived, late)));
            if let (Some(call), Some(end)) = (call.recorded(), end) {
                call.set_request_end(end);
            }
            call
        };
        Some(ActiveCall::deferred(origin, is_grpc, start))
    }

    pub(super) fn is_public(&self, request: &RpcRequest<'_>) -> bool {
        self.public_endpoint
            .as_ref()
            .is_some_and(|is_public| guard::PUBLIC_ENDPOINT.run(|| is_public(request)).unwrap_or(true))
    }

    /// Starts the call of a request, whose headers this layer, or one inside it, got.
    pub(super) fn start_arrived<B>(
        &self,
        request: &mut Request<B>,
        origin: RequestOrigin,
        captured: &'static CapturedHeaders,
        deferred: Option<(Instant, LateStart)>,
    ) -> ActiveCall {
        let instrumentation = self.options.instrumentation();
        let needs_addrs = instrumentation.has_tracer() || self.options.logs_calls();
        let addrs = if needs_addrs || is_otlp_path(request.uri().path()) {
            ConnectionAddrs::from_http(request)
        } else {
            ConnectionAddrs::default()
        };
        let incoming = IncomingRequest::from_http(request, &addrs);
        let arrival = Arrival {
            path: request.uri().path(),
            origin,
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
        let late = deferred.map_or_else(LateStart::default, |(_, late)| late);
        if late.has_service {
            self.inner_paths.learn(path, late.inner_layer.is_some());
        }
        let is_public = || late.inner_layer.is_some_and(|inner| inner.is_public) || self.is_public(&request);
        if late.inner_layer.is_some_and(|inner| inner.is_filtered) || !self.options.should_record(&request) {
            let context = context_of_filtered(incoming, &instrumentation, is_public);
            return ActiveCall::filtered(origin, context);
        }
        let method = self.registry.get(path);
        let has_extras = self.options.has_extras(&instrumentation);
        let has_options = has_extras || self.options.metric_attributes.is_some();
        let params = CallParams {
            method: method.unwrap_or_else(|| self.registry.fallback()),
            unresolved: method.is_none().then(|| UnresolvedMethod::boxed(path, &self.registry)),
            adds_active_later: has_options,
            instrumentation,
            layer_headers: Some(captured),
            handler_headers: None,
            origin,
            arrived: deferred.map(|(arrived, _)| arrived),
        };
        let mut call = start_call(params, is_public(), incoming, &captured.request_headers);
        if has_options {
            self.options.set_metric_attributes(&mut call, &request);
            if has_extras {
                self.set_options(&mut call, incoming);
            }
            call.add_active();
        }
        if self.tracing_span {
            call.open_tracing_span();
        }
        self.options.add_span_attributes(&call, &request);
        ActiveCall::Recorded(call)
    }

    // Apart, so that its code is not in that of a call without options.
    #[cold]
    #[inline(never)]
    fn set_options(&self, call: &mut Call, incoming: &IncomingRequest<'_>) {
        let counts_messages = self.options.counts_by_method();
        let attempts = counts_messages.then(|| previous_attempts(incoming.headers));
        let peer = self.options.logs_calls().then(|| incoming.peer());
        let facts = RequestFacts {
            remote: peer.flatten().map_or(Remote::Unknown, Remote::Socket),
            previous_attempts: attempts.flatten(),
        };
        call.set_options(self.options.call.as_ref(), facts);
    }
}

/// Returns `true` if the body of a request may break off, because it comes over a socket.
///
/// A request that a client within the process makes of one message has its body in memory, which
/// cannot break off, so it saves the allocation of a watched body. Such a body knows its length,
/// although the request has no `content-length`. From a request that comes over a socket, tonic-web
/// removes that header, and adds an `accept-encoding`.
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

/// Returns the context that a filtered call runs in: the trace of a trusted caller continues.
fn context_of_filtered(
    incoming: &IncomingRequest<'_>,
    instrumentation: &InstrumentationRef,
    is_public: impl FnOnce() -> bool,
) -> Context {
    match instrumentation.extract(incoming.headers, &KnownHeaders::scan(incoming.headers)) {
        None => Context::current(),
        Some(caller) if is_public() => with_baggage_of(&caller),
        Some(caller) => caller,
    }
}

/// Returns the current context with the baggage of an untrusted caller, and nothing else of it.
fn with_baggage_of(caller: &Context) -> Context {
    let members = caller.baggage().iter().map(|(key, (value, metadata))| {
        let (value, metadata) = (value.clone(), metadata.clone());
        KeyValueMetadata::new(key.clone(), value, metadata)
    });
    Context::current().with_baggage(members)
}
