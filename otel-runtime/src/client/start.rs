//! Starting a client's call.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Span, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tonic::GrpcMethod;

use super::body_context;
use super::layer::ClientLayer;
use crate::attributes::captured_headers::{CapturedHeaders, HeaderList};
use crate::clock::Instant;
use crate::grpc::progress::OfferedEncodings;
use crate::grpc::request_headers::KnownHeaders;
use crate::grpc::side::Direction;
use crate::layer::request::RpcRequest;
use crate::method::Method;
use crate::rpc::active_call::ActiveCall;
use crate::rpc::call::{Call, CallParams, SpanParent, UnresolvedMethod};
use crate::rpc::call_log::Remote;
use crate::rpc::call_options::RequestFacts;
use crate::rpc::origin::RequestOrigin;
use crate::rpc::pool::PooledCall;
use crate::rpc::request_body;
use crate::span::SpanAttributes;

impl ClientLayer {
    /// Starts the call of a request, and injects its context into the metadata.
    ///
    /// Returns `None` if the call is not recorded.
    pub(super) fn start<B: 'static>(
        &self,
        request: &mut Request<B>,
        captured: &'static CapturedHeaders,
        waiting_since: Option<Instant>,
    ) -> Option<ActiveCall> {
        let context = Context::current();
        if context.is_telemetry_suppressed() {
            return None;
        }
        let outgoing = RpcRequest::from_http(request);
        if !self.options.should_record(&outgoing) {
            self.options.instrumentation().inject(&context, request.headers_mut());
            if context.has_active_span() {
                body_context::poll_in_current_context(request.body_mut());
            }
            return None;
        }
        let mut call = self.start_outgoing(&outgoing, context, captured, waiting_since);
        let instrumentation = call.instrumentation();
        match call.context() {
            Some(context) => instrumentation.inject(context, request.headers_mut()),
            None => Context::map_current(|context| instrumentation.inject(context, request.headers_mut())),
        }
        if call.extras().watches_request() {
            let counter = call.extras().request_counter(Direction::Sent);
            let counts = call.extras().counts_by_method();
            let end = |counted| counts.then(|| call.watch_request(counted));
            request_body::wrap(request.body_mut(), counter, end);
        }
        Some(ActiveCall::Recorded(call))
    }

    // Not generic, so that it is compiled once.
    fn start_outgoing(
        &self,
        request: &RpcRequest<'_>,
        context: Context,
        captured: &'static CapturedHeaders,
        waiting_since: Option<Instant>,
    ) -> PooledCall {
        let instrumentation = self.options.instrumentation();
        let method = self.method(request);
        let has_extras = self.options.has_extras(&instrumentation);
        let has_options = has_extras || self.options.metric_attributes.is_some();
        let params = CallParams {
            method: method.unwrap_or_else(|| self.registry.fallback()),
            unresolved: method
                .is_none()
                .then(|| UnresolvedMethod::boxed(request.path(), &self.registry)),
            adds_active_later: has_options,
            instrumentation,
            layer_headers: Some(captured),
            handler_headers: None,
            origin: RequestOrigin::default(),
            arrived: waiting_since,
        };
        let known = KnownHeaders::scan(request.headers());
        let mut call = PooledCall::new(params, known.timeout());
        if known.grpc_accept_encoding.is_some() {
            call.set_offered_encodings(OfferedEncodings::from_headers(request.headers()));
        }
        if call.instrumentation().has_tracer() {
            let parent = SpanParent {
                base: Some(context),
                ..SpanParent::default()
            };
            let attributes = ClientAttributes {
                target: self.registry.target(),
                request,
                captured: &captured.request_headers,
            };
            call.start_span(parent, &attributes);
        }
        if has_options {
            self.options.set_metric_attributes(&mut call, request);
            if has_extras {
                self.set_options(&mut call);
            }
            call.add_active();
        }
        self.options.add_span_attributes(&call, request);
        call
    }

    // Apart, so that its code is not in that of a call without options.
    #[cold]
    #[inline(never)]
    fn set_options(&self, call: &mut Call) {
        let target = self.options.logs_calls().then(|| Arc::clone(self.registry.target()));
        let facts = RequestFacts {
            remote: target.map_or(Remote::Unknown, Remote::Target),
            previous_attempts: None,
        };
        call.set_options(self.options.call.as_ref(), facts);
    }

    /// Returns the method of a request, if it is known.
    fn method(&self, request: &RpcRequest<'_>) -> Option<&'static Method> {
        let path = request.path();
        self.registry.get(path).or_else(|| {
            let method = request.extensions().get::<GrpcMethod<'_>>()?;
            self.registry
                .register_as(path, &format!("{}/{}", method.service(), method.method()))
        })
    }
}

struct ClientAttributes<'a> {
    /// `server.address` and `server.port`.
    target: &'a [KeyValue],
    request: &'a RpcRequest<'a>,
    captured: &'a HeaderList,
}

impl SpanAttributes for ClientAttributes<'_> {
    fn at_start(&self, attributes: &mut Vec<KeyValue>) {
        attributes.extend_from_slice(self.target);
    }

    fn if_recording(&self, span: &mut BoxedSpan) -> Option<SocketAddr> {
        if !self.captured.is_empty() {
            for attribute in self.captured.attributes(self.request.headers()) {
                span.set_attribute(attribute);
            }
        }
        None
    }
}
