//! Starting a client's call.

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
use crate::rpc::call::{CallParams, SpanParent, UnresolvedMethod};
use crate::rpc::message_sizes::MessageSizes;
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
        let call = self.start_outgoing(&outgoing, context, captured, waiting_since);
        let instrumentation = call.instrumentation();
        match call.context() {
            Some(context) => instrumentation.inject(context, request.headers_mut()),
            None => Context::map_current(|context| instrumentation.inject(context, request.headers_mut())),
        }
        if let Some(sizes) = call.message_sizes() {
            request_body::wrap(request.body_mut(), Some((Arc::clone(sizes), Direction::Sent)), || None);
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
        let params = CallParams {
            method: method.unwrap_or_else(|| self.registry.fallback()),
            unresolved: method.is_none().then(|| UnresolvedMethod {
                path: Box::from(request.path()),
                registry: Arc::clone(&self.registry),
                expects_answer: false,
            }),
            message_sizes: MessageSizes::new_if_enabled(&instrumentation, method, false),
            instrumentation,
            layer_headers: Some(captured),
            handler_headers: None,
            origin: RequestOrigin::default(),
            arrived: waiting_since,
        };
        let known = KnownHeaders::scan(request.headers());
        let mut call = PooledCall::new(params, known.timeout());
        if known.grpc_accept_encoding.is_some() {
            call.set_offered_encodings(OfferedEncodings::of(request.headers()));
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
        self.options.add_span_attributes(&call, request);
        call
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

    fn if_recording(&self, span: &mut BoxedSpan) {
        for attribute in self.captured.attributes(self.request.headers()) {
            span.set_attribute(attribute);
        }
    }
}
