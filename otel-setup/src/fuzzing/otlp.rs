//! The variables of OTLP.

use std::time::Duration;

use crate::env::Environment;
use crate::otlp::endpoint::{endpoint, shown};
use crate::otlp::headers::{self, headers};
use crate::otlp::protocol::Protocol;
use crate::otlp::settings;
use crate::signal::Signal;

pub(super) fn check(signal: Signal, environment: &impl Fn() -> Environment) {
    endpoints(signal, &environment());
    are_headers(signal, environment());
    let environment = environment();
    assert!(settings::timeout(signal, &environment) > Duration::ZERO);
    let _ = settings::protocol(signal, &environment);
    let _ = settings::is_compressed(signal, &environment);
    let _ = settings::temporality(&environment);
}

/// What is used can be connected to, and is shown without anything that may be secret.
fn endpoints(signal: Signal, environment: &Environment) {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let Ok(url) = endpoint(signal, protocol, None, environment) else {
            continue;
        };
        assert!(matches!(url.scheme_str(), Some("http" | "https")), "{url}");
        assert!(url.host().is_some_and(|host| !host.is_empty()), "{url}");
        let shown = shown(&url);
        let (_, rest) = shown.split_once("://").unwrap();
        let authority = rest.split('/').next().unwrap();
        assert!(!authority.contains('@') && !shown.contains('?'), "{shown}");
    }
}

/// What is sent can be, and is not for the program to say; and nobody is told its value.
fn are_headers(signal: Signal, environment: Environment) {
    let sent = headers(signal, &[], &environment).unwrap();
    for (name, value) in &sent {
        assert!(!headers::RESERVED.contains(&name.as_str()), "{name}");
        assert!(value.is_sensitive(), "{name}");
    }
    for warning in environment.into_warnings() {
        assert!(warning.contains("_HEADERS=\"…\" has no header"), "{warning}");
    }
}
