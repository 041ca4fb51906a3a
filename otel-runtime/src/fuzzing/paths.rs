//! Fuzz target: request paths, and the method names in them.

use http::{Request, Uri};

use crate::grpc::path::{full_method_name, names_match, service_and_method};
use crate::layer::request::RpcRequest;
use crate::method::registry::MethodRegistry;

/// Checks that names from the wire are limited in length, and are parts of the path.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = text.parse::<Uri>().map_or(text.to_owned(), |uri| uri.path().to_owned());
    assert_names_are_limited(&path);
    assert_parts_of_path(&path);
    if let Ok(request) = Request::post(&path).body(()) {
        let request = RpcRequest::from_http(&request);
        assert!(request.path().contains(request.service()) && request.path().ends_with(request.method()));
        assert!(!request.method().contains('/'));
    }
}

fn assert_names_are_limited(path: &str) {
    let name = full_method_name(path);
    assert!(path == name || path == format!("/{name}"));
    let methods = MethodRegistry::for_server();
    let is_name = name.len() <= 256;
    // `register` leaks the name, so a fuzzer that runs millions of inputs must not call it with a
    // valid one.
    if is_name {
        methods.alias(path, methods.fallback());
    } else {
        assert!(methods.register(path).is_none());
        methods.alias(path, methods.fallback());
    }
    assert_eq!(methods.get(path).is_some(), is_name);
    assert!(methods.get("/another").is_none() || path == "/another");
}

fn assert_parts_of_path(path: &str) {
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
