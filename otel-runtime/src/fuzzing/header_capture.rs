//! Fuzz target: captured headers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderValue};
use opentelemetry::{Array, StringValue, Value};

use super::headers;
use crate::attributes::captured_headers::HeaderList;

const LISTED: [&str; 4] = ["x-tenant", "X-Zone", "trace-bin", "grpc-status"];

/// Checks that only listed headers are captured, within the limits, with the values that were sent.
pub fn check(bytes: &[u8]) {
    let headers = headers(bytes);
    let attributes: Vec<_> = HeaderList::request_headers(LISTED).attributes(&headers);
    let present = LISTED.iter().filter(|name| headers.contains_key(**name));
    let keys = present.map(|name| format!("rpc.request.header.{}", name.to_lowercase()));
    assert!(attributes.iter().map(|attribute| attribute.key.as_str()).eq(keys));
    for attribute in attributes {
        let Value::Array(Array::String(recorded)) = attribute.value else {
            panic!("{attribute:?}")
        };
        assert!((1..=16).contains(&recorded.len()), "{recorded:?}");
        let name = attribute.key.as_str().strip_prefix("rpc.request.header.").unwrap();
        assert_values_match(name, &recorded, &headers);
    }
}

fn assert_values_match(name: &str, recorded: &[StringValue], headers: &HeaderMap) {
    let sent: Vec<&[u8]> = if name.ends_with("-bin") {
        let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let values = lines.flat_map(|line| line.split(|byte| *byte == b','));
        values.map(<[u8]>::trim_ascii).collect()
    } else {
        headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
    };
    assert_eq!(recorded.len(), sent.len().min(16));
    for (recorded, sent) in recorded.iter().zip(sent) {
        let recorded = recorded.as_str();
        assert!(recorded.len() <= 1024, "{recorded:?}");
        match std::str::from_utf8(sent) {
            Ok(text) if !name.ends_with("-bin") => {
                assert!(text.starts_with(recorded));
                assert!(recorded.len() == text.len() || recorded.len() > 1020, "{recorded:?}");
            }
            _ => {
                let bytes = BASE64_STANDARD.decode(recorded).unwrap();
                // The base64 that was sent, except for its padding; or the base64 of the raw bytes.
                let unpadded = recorded.trim_end_matches('=').as_bytes();
                assert!(sent.starts_with(unpadded) || sent.starts_with(&bytes), "{recorded:?}");
            }
        }
    }
}
