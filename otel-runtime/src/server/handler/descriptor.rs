//! The `static` in the generated code of each method.

use std::sync::OnceLock;

use tonic::{Extensions, Request};

use super::call::HandlerCall;
use super::incoming::Incoming;
use super::respond::{GrpcResult, ResponseKind};
use crate::attributes::captured_headers::{CaptureLists, CapturedHeaders};
use crate::grpc::path::{names_match, service_and_method};
use crate::instrumentation::{Instrumentation, InstrumentationRef};
use crate::method::Method;
use crate::rpc::active_call::{ActiveCall, LateStart};
use crate::rpc::call::{Call, CallParams};
use crate::rpc::current;
use crate::server::request::IncomingRequest;
use crate::server::start::start_call;
use crate::{guard, versions};

/// A method of an annotated service.
#[derive(Debug)]
pub struct MethodDescriptor {
    /// The service's full name, or the trait's name if the impl does not tell it.
    service: &'static str,
    service_is_known: bool,
    /// The method's name, or the function's name in `UpperCamelCase` if the impl does not tell it.
    method: &'static str,
    method_is_known: bool,
    public_endpoint: bool,
    capture_lists: CaptureLists,
    captured_headers: OnceLock<CapturedHeaders>,
    /// The method by the path of its first request.
    wire_method: OnceLock<Method>,
    /// The method by its Rust names, for requests without a path.
    fallback_method: OnceLock<Method>,
}

impl MethodDescriptor {
    /// Describes a method of the service with this full name.
    #[must_use]
    pub const fn for_service(service: &'static str, method: &'static str) -> Self {
        MethodDescriptor::new(service, true, method)
    }

    /// Describes a method of a service whose full name is not known before the first request.
    #[must_use]
    pub const fn for_trait(name: &'static str, method: &'static str) -> Self {
        MethodDescriptor::new(name, false, method)
    }

    const fn new(service: &'static str, service_is_known: bool, method: &'static str) -> Self {
        MethodDescriptor {
            service,
            service_is_known,
            method,
            method_is_known: false,
            public_endpoint: false,
            capture_lists: CaptureLists::NONE,
            captured_headers: OnceLock::new(),
            wire_method: OnceLock::new(),
            fallback_method: OnceLock::new(),
        }
    }

    /// Sets the service's full name, unless it is empty.
    #[must_use]
    pub const fn with_service(mut self, service: &'static str) -> Self {
        if !service.is_empty() {
            self.service = service;
            self.service_is_known = true;
        }
        self
    }

    /// Sets the method's name, whatever the path of a request says.
    #[must_use]
    pub const fn with_method(mut self, method: &'static str) -> Self {
        self.method = method;
        self.method_is_known = true;
        self
    }

    /// Treats callers as untrusted.
    #[must_use]
    pub const fn public_endpoint(mut self) -> Self {
        self.public_endpoint = true;
        self
    }

    /// Sets the request headers that become span attributes.
    #[must_use]
    pub const fn request_headers(mut self, names: &'static [&'static str]) -> Self {
        self.capture_lists.request_headers = names;
        self
    }

    /// Sets the response headers that become span attributes.
    #[must_use]
    pub const fn response_headers(mut self, names: &'static [&'static str]) -> Self {
        self.capture_lists.response_headers = names;
        self
    }

    /// Sets the response trailers that become span attributes.
    #[must_use]
    pub const fn response_trailers(mut self, names: &'static [&'static str]) -> Self {
        self.capture_lists.response_trailers = names;
        self
    }

    /// Selects how to run the method's handlers, which return `R`.
    pub fn returning<R: GrpcResult>(&'static self) -> R::Kind {
        ResponseKind::new().into()
    }

    /// Starts the call of a request.
    pub fn start(&'static self, request: &Request<impl Sized>) -> HandlerCall {
        self.start_incoming(&IncomingRequest::from_tonic(request), None)
    }

    /// Like [`start`](Self::start), but records with the [`Instrumentation`] that `evaluate` passes
    /// on. If evaluating it panics, the call is not recorded.
    pub fn start_with(
        &'static self,
        request: &Request<impl Sized>,
        evaluate: impl FnOnce(&mut dyn FnMut(&Instrumentation)),
    ) -> HandlerCall {
        let request = IncomingRequest::from_tonic(request);
        let mut call = HandlerCall::None;
        guard::INSTRUMENTATION.run(|| {
            evaluate(&mut |instrumentation| call = self.start_incoming(&request, Some(instrumentation)));
        });
        call
    }

    // The rest does not depend on the type of the request, so it is compiled once.

    fn start_incoming(
        &'static self,
        request: &IncomingRequest<'_>,
        instrumentation: Option<&Instrumentation>,
    ) -> HandlerCall {
        let incoming =
            current::with_current(|current| Incoming::classify_and_claim(request, current, || self.captured_headers()));
        match incoming.unwrap_or(Incoming::NewCall) {
            Incoming::NewCall => {
                let captured = self.captured_headers();
                let params = CallParams {
                    method: self.method(request.path(), request.extensions),
                    unresolved: None,
                    instrumentation: InstrumentationRef::or_global(instrumentation),
                    layer_headers: None,
                    handler_headers: Some(captured),
                    adds_active_later: false,
                    origin: request.origin(),
                    arrived: None,
                };
                let call = start_call(params, self.public_endpoint, request, &captured.request_headers);
                HandlerCall::Owned(Some(ActiveCall::Recorded(call)))
            }
            Incoming::LayerCall { is_unresolved } => {
                if is_unresolved {
                    current::take_recorded(|call| self.resolve(call, request));
                }
                let call = HandlerCall::Layer;
                call.capture_request_headers(request.headers);
                call
            }
            Incoming::Deferred => {
                current::start_deferred(LateStart {
                    has_service: true,
                    ..LateStart::default()
                });
                self.start_incoming(request, instrumentation)
            }
            Incoming::Nested => HandlerCall::None,
            Incoming::LocalExport => HandlerCall::Owned(Some(ActiveCall::local_export(request.origin()).claimed())),
        }
    }

    /// Resolves the method of a layer's call whose path is not known yet.
    ///
    /// If a layer has rewritten the path, this method's name is in the path that the handler got.
    #[cold]
    fn resolve(&'static self, call: &mut Call, request: &IncomingRequest<'_>) {
        let method = {
            let paths = [request.path(), call.unresolved_path()];
            let named = paths.into_iter().flatten().find(|path| names_match(self.method, path));
            self.method(named.or(paths[0]).or(paths[1]), request.extensions)
        };
        call.resolve_method(method);
    }

    #[inline]
    fn captured_headers(&'static self) -> &'static CapturedHeaders {
        self.captured_headers
            .get_or_init(|| CapturedHeaders::new(&self.capture_lists))
    }

    #[inline]
    fn method(&'static self, path: Option<&str>, extensions: &Extensions) -> &'static Method {
        let fallback = || path.is_none().then(|| self.fallback_method.get()).flatten();
        match self.wire_method.get().or_else(fallback) {
            Some(method) => method,
            None => self.init_method(path, extensions),
        }
    }

    #[cold]
    fn init_method(&'static self, path: Option<&str>, extensions: &Extensions) -> &'static Method {
        versions::warn_of_other_layer(extensions);
        match path.and_then(|path| Some((path, service_and_method(path)?))) {
            Some((path, (service, method))) => self.wire_method.get_or_init(|| {
                let service = if self.service_is_known { self.service } else { service };
                let method = if self.method_is_known { self.method } else { method };
                Method::for_server(&format!("{service}/{method}"), Some(path))
            }),
            None => self
                .fallback_method
                .get_or_init(|| Method::for_server(&format!("{}/{}", self.service, self.method), None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_path_names_the_method() {
        static RPC: MethodDescriptor = MethodDescriptor::for_trait("Greeter", "SayHello");
        assert_eq!(RPC.method(None, &Extensions::new()).name(), "Greeter/SayHello");
        let path = http::Uri::from_static("/helloworld.Greeter/SayHELLO");
        assert_eq!(
            RPC.method(Some(path.path()), &Extensions::new()).name(),
            "helloworld.Greeter/SayHELLO"
        );
        assert_eq!(
            RPC.method(None, &Extensions::new()).name(),
            "helloworld.Greeter/SayHELLO"
        );
    }

    #[test]
    fn a_known_service_keeps_its_name() {
        static RPC: MethodDescriptor = MethodDescriptor::for_service("helloworld.Greeter", "GetUrl");
        let path = http::Uri::from_static("/elsewhere/GetURL");
        assert_eq!(
            RPC.method(Some(path.path()), &Extensions::new()).name(),
            "helloworld.Greeter/GetURL"
        );
    }

    #[test]
    fn a_generated_module_names_the_service() {
        mod named {
            pub(super) const SERVICE_NAME: &str = "helloworld.Greeter";
        }
        mod unnamed {}

        static KNOWN: MethodDescriptor =
            MethodDescriptor::for_trait("Greeter", "SayHello").with_service(crate::__private::service_name!(named));
        static UNKNOWN: MethodDescriptor =
            MethodDescriptor::for_trait("Greeter", "SayHello").with_service(crate::__private::service_name!(unnamed));
        assert_eq!(
            KNOWN.method(None, &Extensions::new()).name(),
            "helloworld.Greeter/SayHello"
        );
        assert_eq!(UNKNOWN.method(None, &Extensions::new()).name(), "Greeter/SayHello");
    }

    #[test]
    fn a_known_method_keeps_its_name() {
        static RPC: MethodDescriptor = MethodDescriptor::for_trait("Greeter", "GetUrl").with_method("GetURL");
        let path = http::Uri::from_static("/helloworld.Greeter/get");
        assert_eq!(RPC.method(None, &Extensions::new()).name(), "Greeter/GetURL");
        assert_eq!(
            RPC.method(Some(path.path()), &Extensions::new()).name(),
            "helloworld.Greeter/GetURL"
        );
    }
}
