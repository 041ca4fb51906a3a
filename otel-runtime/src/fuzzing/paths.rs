//! Paths, and the names of methods in them.

use http::{Request, Uri};

use crate::grpc::path::{full_method_name, names_match, service_and_method};
use crate::layer::request::RpcRequest;
use crate::method::registry::MethodRegistry;

/// A name from the wire has an end, and its parts are parts of it.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = text.parse::<Uri>().map_or(text.to_owned(), |uri| uri.path().to_owned());
    names_have_an_end(&path);
    parts_are_parts(&path);
    if let Ok(request) = Request::post(&path).body(()) {
        let request = RpcRequest::from_http(&request);
        assert!(request.path().contains(request.service()) && request.path().ends_with(request.method()));
        assert!(!request.method().contains('/'));
    }
}

fn names_have_an_end(path: &str) {
    let name = full_method_name(path);
    assert!(path == name || path == format!("/{name}"));
    let methods = MethodRegistry::for_server();
    let is_name = name.len() <= 256;
    // What is learnt is kept for good, so that it is not what is tried millions of times.
    if is_name {
        methods.alias(path, methods.fallback());
    } else {
        assert!(methods.register(path).is_none());
        methods.alias(path, methods.fallback());
    }
    assert_eq!(methods.get(path).is_some(), is_name);
    assert!(methods.get("/another").is_none() || path == "/another");
}

fn parts_are_parts(path: &str) {
    let Some((service, method)) = service_and_method(path) else {
        return;
    };
    assert!(path.ends_with(&format!("/{service}/{method}")));
    assert!(!service.is_empty() && !service.contains('/'));
    assert!(!method.is_empty() && !method.contains('/'));
    assert!(names_match(method, path));
    assert!(names_match(&method.to_ascii_uppercase(), path));
    assert!(!names_match(&format!("{method}x"), path));
}
