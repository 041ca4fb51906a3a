//! The method of a call whose path is not known when it starts.

use std::sync::Arc;

use opentelemetry::trace::TraceContextExt;

use super::{Call, UnresolvedMethod};
use crate::grpc::path::full_method_name;
use crate::method::Method;
use crate::method::registry::MethodRegistry;
use crate::metrics::legacy;
use crate::{guard, limits};

impl UnresolvedMethod {
    #[cold]
    pub(crate) fn boxed(path: &str, registry: &Arc<MethodRegistry>) -> Box<Self> {
        Box::new(UnresolvedMethod {
            path: Box::from(path),
            registry: Arc::clone(registry),
            expects_answer: false,
        })
    }

    /// Returns the method name in the path, cut to the length that is recorded.
    pub(super) fn name(&self) -> &str {
        limits::cut(full_method_name(&self.path), limits::NAME)
    }
}

impl Call {
    /// Returns the path of a request whose method is not known.
    pub(crate) fn unresolved_path(&self) -> Option<&str> {
        self.unresolved.as_ref().map(|unresolved| &*unresolved.path)
    }

    /// Returns the name in the path of a request whose method is not known.
    pub(super) fn original_method(&self) -> Option<&str> {
        self.unresolved.as_deref().map(UnresolvedMethod::name)
    }

    /// Returns the method, if it is known.
    pub(crate) fn known_method(&self) -> Option<&'static Method> {
        self.unresolved.is_none().then_some(self.method)
    }

    /// Returns the name of the method, if it is known.
    pub(crate) fn known_name(&self) -> Option<&'static str> {
        self.known_method().map(Method::name)
    }

    /// Returns `true` while the call's method is not known.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.unresolved.is_some()
    }

    /// Resolves the call's path to `method`, for this call and all later ones with this path.
    pub(crate) fn resolve_method(&mut self, method: &'static Method) {
        if let Some(unresolved) = self.unresolved.take() {
            unresolved.registry.alias(&unresolved.path, method);
            self.set_method(method, unresolved.name());
        }
    }

    /// Resolves the call's path to the method that it names.
    pub(crate) fn resolve_from_path(&mut self) {
        if let Some(unresolved) = &self.unresolved
            && let Some(method) = unresolved.registry.register(&unresolved.path)
        {
            self.resolve_method(method);
        }
    }

    /// Records response headers as only a service sends them, or a proxy in front of a router.
    pub(crate) fn expect_answer(&mut self) {
        if let Some(unresolved) = &mut self.unresolved {
            unresolved.expects_answer = true;
        }
    }

    /// Resolves the call's path once its service has answered, behind [such](Self::expect_answer)
    /// headers, with a message or a status.
    #[cold]
    pub(crate) fn resolve_answered(&mut self) {
        if self
            .unresolved
            .as_ref()
            .is_some_and(|unresolved| unresolved.expects_answer)
        {
            self.resolve_from_path();
        }
    }

    fn set_method(&mut self, method: &'static Method, span_name: &str) {
        self.with_metrics(|metrics| metrics.add_active(-1));
        self.method = method;
        if !self.extras.is_empty() {
            self.set_method_of_extras();
        }
        self.with_metrics(|metrics| metrics.add_active(1));
        let name = self.method.name();
        self.set_attributes(&mut || vec![self.method.rpc_method()]);
        if self.instrumentation.instruments().legacy().is_some() {
            self.set_attributes(&mut || legacy::span_attributes(name));
        }
        if let Some(context) = self.recording_context()
            && name != span_name
        {
            guard::TRACER.run(|| context.span().update_name(name));
        }
    }
}
