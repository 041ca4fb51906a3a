//! A request without its message, for the functions that users give to a layer.

use http::{Extensions, HeaderMap};

/// The request of a call without its message.
///
/// Filters, `public_endpoint_if` and `span_attributes` get one.
///
/// # Example
///
/// ```
/// use opentelemetry::KeyValue;
/// use otel_runtime::{RpcRequest, ServerLayer};
///
/// let layer = ServerLayer::new().span_attributes(|request: &RpcRequest<'_>| {
///     let agent = request.headers().get("user-agent").and_then(|agent| agent.to_str().ok());
///     agent.map(|agent| KeyValue::new("user_agent.original", agent.to_owned()))
/// });
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RpcRequest<'a> {
    path: &'a str,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RpcRequest<'a> {
    #[inline]
    pub(crate) fn new(path: &'a str, headers: &'a HeaderMap, extensions: &'a Extensions) -> Self {
        RpcRequest {
            path,
            headers,
            extensions,
        }
    }

    pub(crate) fn from_http<B>(request: &'a http::Request<B>) -> Self {
        RpcRequest::new(request.uri().path(), request.headers(), request.extensions())
    }

    /// Returns the path: `/pkg.Service/Method`.
    ///
    /// Callers may send any path, so it need not be one of a method that exists.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// Returns the service's full name, `pkg.Service`: the segment before the last `/` of the path.
    ///
    /// A prefix, as of a service that is nested below another path, is not part of it.
    #[must_use]
    pub fn service(&self) -> &'a str {
        self.parts().0
    }

    /// Returns the method's name, `Method`: the path after its last `/`.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.parts().1
    }

    fn parts(&self) -> (&'a str, &'a str) {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        let (service, method) = path.rsplit_once('/').unwrap_or((path, ""));
        (service.rsplit_once('/').map_or(service, |(_, service)| service), method)
    }

    /// Returns the metadata.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the extensions, with everything that outer layers have inserted.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_service_and_method() {
        let parts = |path: &'static str| {
            let request = http::Request::builder().uri(path).body(()).unwrap();
            let request = RpcRequest::from_http(&request);
            (request.service().to_owned(), request.method().to_owned())
        };
        let pair = |service: &str, method: &str| (service.to_owned(), method.to_owned());
        assert_eq!(
            parts("http://localhost:50051/helloworld.Greeter/SayHello"),
            pair("helloworld.Greeter", "SayHello")
        );
        assert_eq!(
            parts("/nested/helloworld.Greeter/SayHello"),
            pair("helloworld.Greeter", "SayHello")
        );
        assert_eq!(parts("/helloworld.Greeter"), pair("helloworld.Greeter", ""));
        assert_eq!(parts("/"), pair("", ""));
    }
}
