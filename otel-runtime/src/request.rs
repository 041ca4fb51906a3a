//! A request, as the functions that users give to a layer see it.

use http::{Extensions, HeaderMap};

/// The request of an RPC without its message, for the functions that a layer asks: its [filter](crate::filter), its attributes.
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
    pub(crate) fn of<B>(request: &'a http::Request<B>) -> Self {
        RpcRequest {
            path: request.uri().path(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// `/pkg.Service/Method`. Whatever the caller wrote: it may be no service's.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// `pkg.Service`: what stands in the path before the last `/`.
    #[must_use]
    pub fn service(&self) -> &'a str {
        self.parts().0
    }

    /// `Method`: what stands in the path behind the last `/`.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.parts().1
    }

    fn parts(&self) -> (&'a str, &'a str) {
        let path = self.path.strip_prefix('/').unwrap_or(self.path);
        path.rsplit_once('/').unwrap_or((path, ""))
    }

    /// The metadata.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What the layers outside put there.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_has_two_parts() {
        let parts = |path: &'static str| {
            let request = http::Request::builder().uri(path).body(()).unwrap();
            let request = RpcRequest::of(&request);
            (request.service().to_owned(), request.method().to_owned())
        };
        let pair = |service: &str, method: &str| (service.to_owned(), method.to_owned());
        assert_eq!(
            parts("http://localhost:50051/helloworld.Greeter/SayHello"),
            pair("helloworld.Greeter", "SayHello")
        );
        assert_eq!(
            parts("/nested/helloworld.Greeter/SayHello"),
            pair("nested/helloworld.Greeter", "SayHello")
        );
        assert_eq!(parts("/helloworld.Greeter"), pair("helloworld.Greeter", ""));
        assert_eq!(parts("/"), pair("", ""));
    }
}
