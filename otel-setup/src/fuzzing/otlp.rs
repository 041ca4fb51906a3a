//! Checks of the variables `OTEL_EXPORTER_OTLP_*`.

use std::time::Duration;

use crate::env::Env;
use crate::otlp::endpoint::endpoint;
use crate::otlp::headers::{self, headers};
use crate::otlp::protocol::Protocol;
use crate::otlp::settings;
use crate::otlp::user_info::redacted;
use crate::signal::Signal;

/// Checks the settings of one signal.
pub(super) fn check(signal: Signal, env: &impl Fn() -> Env) {
    check_endpoints(signal, &env());
    check_headers(signal, env());
    let env = env();
    assert!(settings::timeout(signal, &env) > Duration::ZERO);
    let _ = settings::protocol(signal, &env);
    let _ = settings::is_compressed(signal, &env);
    let _ = settings::temporality(&env);
}

/// Checks that endpoints are usable, and that messages show no secret parts of them.
fn check_endpoints(signal: Signal, env: &Env) {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let Ok(url) = endpoint(signal, protocol, None, env) else {
            continue;
        };
        assert!(matches!(url.scheme_str(), Some("http" | "https")), "{url}");
        assert!(url.host().is_some_and(|host| !host.is_empty()), "{url}");
        let shown = redacted(&url);
        let (_, rest) = shown.split_once("://").unwrap();
        let authority = rest.split('/').next().unwrap();
        assert!(!authority.contains('@') && !shown.contains('?'), "{shown}");
    }
}

/// Checks that no reserved header is sent, and that no warning shows a value.
fn check_headers(signal: Signal, env: Env) {
    let sent = headers(signal, &[], &env).unwrap();
    for (name, value) in &sent {
        assert!(!headers::RESERVED.contains(&name.as_str()), "{name}");
        assert!(value.is_sensitive(), "{name}");
    }
    for warning in env.into_warnings() {
        assert!(
            warning.contains("_HEADERS=\"…\" has an invalid or reserved header"),
            "{warning}"
        );
    }
}
