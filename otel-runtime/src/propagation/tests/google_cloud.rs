//! Headers allowed by Google Cloud's documentation.

use super::*;

/// Covers the example of Google's documentation, which is the first one, and the grammar.
#[test]
fn google_cloud_extracts_only_documented_headers() {
    let google = GoogleCloudPropagator::new();
    let trace_id = 0x1054_45aa_7843_bc8b_f206_b120_0010_0000;
    for (value, span_id, state) in [
        ("105445aa7843bc8bf206b12000100000/1;o=1", 1, SamplingState::Accept),
        ("105445aa7843bc8bf206b12000100000/1;o=0", 1, SamplingState::Deny),
        ("105445aa7843bc8bf206b12000100000/1;o=2", 1, SamplingState::Deny),
        ("105445aa7843bc8bf206b12000100000/1;o=3", 1, SamplingState::Accept),
        ("105445aa7843bc8bf206b12000100000/1", 1, SamplingState::Defer),
        ("105445AA7843BC8BF206B12000100000/001", 1, SamplingState::Defer),
        (
            "105445aa7843bc8bf206b12000100000/18446744073709551615;o=1",
            u64::MAX,
            SamplingState::Accept,
        ),
    ] {
        let headers = headers([("x-cloud-trace-context", value)]);
        assert_eq!(read(&google, &headers), Some((trace_id, span_id, state)), "{value}");
    }
    for value in [
        "",
        "/",
        "105445aa7843bc8bf206b12000100000",
        "105445aa7843bc8bf206b12000100000/",
        "105445aa7843bc8bf206b12000100000/0;o=1",
        "105445aa7843bc8bf206b12000100000/+1;o=1",
        "105445aa7843bc8bf206b12000100000/-1;o=1",
        "105445aa7843bc8bf206b12000100000/a;o=1",
        "105445aa7843bc8bf206b12000100000/18446744073709551616;o=1",
        "105445aa7843bc8bf206b12000100000/1;",
        "105445aa7843bc8bf206b12000100000/1;o=",
        "105445aa7843bc8bf206b12000100000/1;o=x",
        "105445aa7843bc8bf206b12000100000/1;o=1;o=1",
        "105445aa7843bc8bf206b1200010000/1;o=1",
        "00000000000000000000000000000000/1;o=1",
    ] {
        assert_eq!(
            read(&google, &headers([("x-cloud-trace-context", value)])),
            None,
            "{value:?}"
        );
    }
}
