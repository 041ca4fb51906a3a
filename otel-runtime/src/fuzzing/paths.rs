//! Paths, and the names of methods in them.

use http::{Request, Uri};

use crate::methods::{Methods, name_in};
use crate::request::RpcRequest;
use crate::server::{is_spelling_of, service_and_method};

/// A name from the wire has an end, and its parts are parts of it.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = text.parse::<Uri>().map_or(text.to_owned(), |uri| uri.path().to_owned());
    names_have_an_end(&path);
    parts_are_parts(&path);
    if let Ok(request) = Request::post(&path).body(()) {
        let request = RpcRequest::of(&request);
        assert!(request.path().contains(request.service()) && request.path().ends_with(request.method()));
        assert!(!request.method().contains('/'));
    }
}

fn names_have_an_end(path: &str) {
    let name = name_in(path);
    assert!(path == name || path == format!("/{name}"));
    let methods = Methods::served();
    let is_name = name.len() <= 256;
    // What is learnt is kept for good, so that it is not what is tried millions of times.
    if is_name {
        methods.insert(path, methods.other());
    } else {
        assert!(methods.learn(path).is_none());
        methods.insert(path, methods.other());
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
    assert!(is_spelling_of(method, path));
    assert!(is_spelling_of(&method.to_ascii_uppercase(), path));
    assert!(!is_spelling_of(&format!("{method}x"), path));
}
