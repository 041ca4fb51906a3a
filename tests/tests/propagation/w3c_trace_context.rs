//! The cases of the W3C's test suite for Trace Context, level 2, through a gRPC bridge.
//!
//! The inputs and the expected results are those of `test/test.py` in w3c/trace-context.

use std::collections::BTreeSet;

use integration_tests::bridge::{Bridge, lines};
use integration_tests::telemetry::Telemetry;
use opentelemetry::global;
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer};
use otel_runtime::propagation;
use tonic::metadata::MetadataMap;

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";
const VALID: &str = "00-12345678901234567890123456789012-1234567890123456-01";
const NOT_SAMPLED: &str = "00-12345678901234567890123456789012-1234567890123456-00";

/// The fate of the caller's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    Continued,
    New,
}
use Trace::{Continued, New};

/// A request of a case.
struct Row {
    case: &'static str,
    headers: Vec<(&'static str, String)>,
    trace: Trace,
    /// The expected `tracestate`, in one line. Empty for none.
    state: String,
    /// The number of calls to the next service.
    calls: usize,
}

fn row(case: &'static str, headers: &[(&'static str, &str)], trace: Trace, state: &str) -> Row {
    Row {
        case,
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        trace,
        state: state.to_owned(),
        calls: 1,
    }
}

/// Rows with a `traceparent` only.
fn traceparents() -> Vec<Row> {
    let long_trace = "123456789012345678901234567890123";
    [
        ("traceparent_included_tracestate_missing", VALID.to_owned(), Continued),
        ("traceparent_version_0x00", format!("{VALID}."), New),
        (
            "traceparent_version_0x00",
            format!("{VALID}-what-the-future-will-be-like"),
            New,
        ),
        ("traceparent_version_0xcc", VALID.replacen("00", "cc", 1), Continued),
        (
            "traceparent_version_0xcc",
            VALID.replacen("00", "cc", 1) + "-what-the-future-will-be-like",
            Continued,
        ),
        (
            "traceparent_version_0xcc",
            VALID.replacen("00", "cc", 1) + ".what-the-future-will-be-like",
            New,
        ),
        ("traceparent_version_0xff", VALID.replacen("00", "ff", 1), New),
        (
            "traceparent_version_illegal_characters",
            VALID.replacen("00", ".0", 1),
            New,
        ),
        (
            "traceparent_version_illegal_characters",
            VALID.replacen("00", "0.", 1),
            New,
        ),
        ("traceparent_version_too_long", format!("0{VALID}"), New),
        ("traceparent_version_too_long", format!("00{VALID}"), New),
        ("traceparent_version_too_short", VALID[1..].to_owned(), New),
        (
            "traceparent_trace_id_all_zero",
            VALID.replace(TRACE, &"0".repeat(32)),
            New,
        ),
        (
            "traceparent_trace_id_illegal_characters",
            VALID.replacen("-1", "-.", 1),
            New,
        ),
        (
            "traceparent_trace_id_illegal_characters",
            VALID.replacen("2-1", ".-1", 1),
            New,
        ),
        ("traceparent_trace_id_too_long", VALID.replace(TRACE, long_trace), New),
        ("traceparent_trace_id_too_short", VALID.replace(TRACE, &TRACE[1..]), New),
        (
            "traceparent_parent_id_all_zero",
            VALID.replace(&format!("-{PARENT}"), "-0000000000000000"),
            New,
        ),
        (
            "traceparent_parent_id_illegal_characters",
            VALID.replace("2-1", "2-."),
            New,
        ),
        (
            "traceparent_parent_id_illegal_characters",
            VALID.replace("6-01", ".-01"),
            New,
        ),
        ("traceparent_parent_id_too_long", VALID.replace("6-01", "67-01"), New),
        ("traceparent_parent_id_too_short", VALID.replace("6-01", "-01"), New),
        (
            "traceparent_trace_flags_illegal_characters",
            VALID.replace("6-01", "6-.0"),
            New,
        ),
        (
            "traceparent_trace_flags_illegal_characters",
            VALID.replace("6-01", "6-0."),
            New,
        ),
        ("traceparent_trace_flags_too_long", VALID.replace("6-01", "6-001"), New),
        ("traceparent_trace_flags_too_short", VALID.replace("6-01", "6-1"), New),
        ("traceparent_ows_handling", format!(" {VALID}"), Continued),
        ("traceparent_ows_handling", format!("\t{VALID}"), Continued),
        ("traceparent_ows_handling", format!("{VALID} "), Continued),
        ("traceparent_ows_handling", format!("{VALID}\t"), Continued),
        ("traceparent_ows_handling", format!("\t {VALID} \t"), Continued),
        ("propagates_random_flag", VALID.replace("6-01", "6-02"), Continued),
    ]
    .map(|(case, traceparent, trace)| row(case, &[("traceparent", &traceparent)], trace, ""))
    .into()
}

/// Rows about the names of the headers, about missing ones, and about several calls.
fn headers() -> Vec<Row> {
    let other = VALID.replace(TRACE, "12345678901234567890123456789011");
    let zero = VALID.replace(TRACE, &"0".repeat(32));
    let mut rows = vec![
        row("both_traceparent_and_tracestate_missing", &[], New, ""),
        row(
            "traceparent_duplicated",
            &[("traceparent", &other), ("traceparent", VALID)],
            New,
            "",
        ),
        row("traceparent_header_name", &[("trace-parent", VALID)], New, ""),
        row("traceparent_header_name", &[("trace.parent", VALID)], New, ""),
        row(
            "tracestate_included_traceparent_missing",
            &[("tracestate", "foo=1")],
            New,
            "",
        ),
        row(
            "tracestate_included_traceparent_missing",
            &[("tracestate", "foo=1,bar=2")],
            New,
            "",
        ),
    ];
    // HTTP/2 has header names in lower case only, so these arrive as such.
    for name in ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        rows.push(row(
            "traceparent_header_name_valid_casing",
            &[(name, VALID)],
            Continued,
            "",
        ));
    }
    for name in ["TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        let headers = [("traceparent", NOT_SAMPLED), (name, "foo=1")];
        rows.push(row("tracestate_header_name_valid_casing", &headers, Continued, "foo=1"));
    }
    for name in ["trace-state", "trace.state"] {
        let headers = [("traceparent", NOT_SAMPLED), (name, "foo=1")];
        rows.push(row("tracestate_header_name", &headers, Continued, ""));
    }
    let several = |case, traceparent: &[(&'static str, &str)], trace| Row {
        calls: 3,
        ..row(case, traceparent, trace, "")
    };
    rows.extend([
        several(
            "multiple_requests_with_valid_traceparent",
            &[("traceparent", VALID)],
            Continued,
        ),
        several("multiple_requests_without_traceparent", &[], New),
        several(
            "multiple_requests_with_illegal_traceparent",
            &[("traceparent", &zero)],
            New,
        ),
    ]);
    rows
}

/// Rows with a valid `traceparent` and with lines of `tracestate`, up to the last one: the result.
fn tracestates() -> Vec<Row> {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let is_value = |char: &char| !matches!(char, ',' | '=');
    let value: String = (' '..='~').filter(is_value).collect();
    let (all, all_with_vendor) = (format!("{key}={value}"), format!("{key}@a-z0-9_-*/={value}"));
    let members = |range: std::ops::RangeInclusive<usize>| {
        let members: Vec<String> = range.map(|at| format!("bar{at:02}={at:02}")).collect();
        members.join(",")
    };
    let (first, second, third) = (members(1..=10), members(11..=20), members(21..=30));
    let (z, t) = (
        format!("{}=1", "z".repeat(256)),
        format!("{}@{}=1", "t".repeat(241), "v".repeat(14)),
    );
    let (t_long, v_long) = (format!("{}@v=1", "t".repeat(242)), format!("t@{}=1", "v".repeat(15)));
    let (with_z, with_t) = (format!("foo=1,{z}"), format!("foo=1,{t}"));
    let (with_tenant, with_vendor) = (format!("foo=1,{t_long}"), format!("foo=1,{v_long}"));
    let too_long = format!("{}=1", "z".repeat(257));
    let rows: &[(&'static str, &[&str], &str)] = &[
        (
            "tracestate_included_traceparent_included",
            &["foo=1,bar=2"],
            "foo=1,bar=2",
        ),
        ("tracestate_empty_header", &[""], ""),
        ("tracestate_empty_header", &["foo=1", ""], "foo=1"),
        ("tracestate_empty_header", &["", "foo=1"], "foo=1"),
        (
            "tracestate_multiple_headers_different_keys",
            &["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
        ("tracestate_duplicated_keys", &["foo=1,foo=1"], "foo=1,foo=1"),
        ("tracestate_duplicated_keys", &["foo=1,foo=2"], "foo=1,foo=2"),
        ("tracestate_duplicated_keys", &["foo=1", "foo=1"], "foo=1,foo=1"),
        ("tracestate_duplicated_keys", &["foo=1", "foo=2"], "foo=1,foo=2"),
        ("tracestate_all_allowed_characters", &[&all], &all),
        (
            "tracestate_all_allowed_characters",
            &[&all_with_vendor],
            &all_with_vendor,
        ),
        (
            "tracestate_ows_handling",
            &["foo=1 \t , \t bar=2, \t baz=3"],
            "foo=1,bar=2,baz=3",
        ),
        (
            "tracestate_ows_handling",
            &["foo=1\t \t,\t \tbar=2,\t \tbaz=3"],
            "foo=1,bar=2,baz=3",
        ),
        ("tracestate_ows_handling", &[" foo=1"], "foo=1"),
        ("tracestate_ows_handling", &["\tfoo=1"], "foo=1"),
        ("tracestate_ows_handling", &["foo=1 "], "foo=1"),
        ("tracestate_ows_handling", &["foo=1\t"], "foo=1"),
        ("tracestate_ows_handling", &["\t foo=1 \t"], "foo=1"),
        ("tracestate_key_illegal_characters", &["foo =1"], ""),
        ("tracestate_key_illegal_characters", &["FOO=1"], ""),
        ("tracestate_key_illegal_characters", &["foo.bar=1"], ""),
        (
            "tracestate_key_illegal_vendor_format",
            &["foo@=1,bar=2"],
            "foo@=1,bar=2",
        ),
        ("tracestate_key_illegal_vendor_format", &["@foo=1,bar=2"], ""),
        (
            "tracestate_key_illegal_vendor_format",
            &["foo@@bar=1,bar=2"],
            "foo@@bar=1,bar=2",
        ),
        (
            "tracestate_key_illegal_vendor_format",
            &["foo@bar@baz=1,bar=2"],
            "foo@bar@baz=1,bar=2",
        ),
        (
            "tracestate_member_count_limit",
            &[&first, &second, &third, "bar31=31,bar32=32"],
            &members(1..=32),
        ),
        (
            "tracestate_member_count_limit",
            &[&first, &second, &third, "bar31=31,bar32=32,bar33=33"],
            "",
        ),
        ("tracestate_key_length_limit", &["foo=1", &z], &with_z),
        ("tracestate_key_length_limit", &["foo=1", &too_long], ""),
        ("tracestate_key_length_limit", &["foo=1", &t], &with_t),
        ("tracestate_key_length_limit", &["foo=1", &t_long], &with_tenant),
        ("tracestate_key_length_limit", &["foo=1", &v_long], &with_vendor),
        ("tracestate_value_illegal_characters", &["foo=bar=baz"], ""),
        ("tracestate_value_illegal_characters", &["foo=,bar=3"], ""),
    ];
    let with_traceparent = |(case, lines, state): &(&'static str, &[&str], &str)| {
        let mut headers = vec![("traceparent", NOT_SAMPLED)];
        headers.extend(lines.iter().map(|line| ("tracestate", *line)));
        row(case, &headers, Continued, state)
    };
    rows.iter().map(with_traceparent).collect()
}

/// Parses the one `traceparent` of a request: trace id, parent id, flags.
fn traceparent(metadata: &MetadataMap) -> (String, String, String) {
    let all = lines(metadata, "traceparent");
    let [line] = &all[..] else {
        panic!("one traceparent, not {all:?}")
    };
    let fields: Vec<&str> = line.split('-').collect();
    let [version, trace, parent, flags] = fields[..] else {
        panic!("{line}")
    };
    assert_eq!(
        (version, trace.len(), parent.len(), flags.len()),
        ("00", 32, 16, 2),
        "{line}"
    );
    (trace.to_owned(), parent.to_owned(), flags.to_owned())
}

#[tokio::test]
async fn the_suite_of_the_w3c() {
    let _telemetry = Telemetry::start();
    let bridge = Bridge::start().await;
    let rows: Vec<Row> = traceparents()
        .into_iter()
        .chain(headers())
        .chain(tracestates())
        .collect();
    let cases: BTreeSet<&str> = rows.iter().map(|row| row.case).collect();
    assert_eq!(cases.len(), 41, "the cases of the suite");
    let mut failures = Vec::new();
    for row in rows {
        let sent = bridge.send(&row.headers, row.calls).await;
        let traceparents: Vec<_> = sent.iter().map(traceparent).collect();
        let parents: BTreeSet<&String> = traceparents.iter().map(|(_, parent, _)| parent).collect();
        let is_as_expected = traceparents.iter().all(|(trace, parent, flags)| {
            let is_as_claimed = match row.trace {
                Continued => trace == TRACE,
                // Nor is it one that was cut or padded.
                New => !trace.contains(&TRACE[2..24]),
            };
            // The suite's only case with the random flag.
            let is_random = row.case == "propagates_random_flag";
            is_as_claimed && parent != PARENT && (!is_random || flags == "02")
        });
        let states: Vec<Vec<String>> = sent.iter().map(|metadata| lines(metadata, "tracestate")).collect();
        let state: Vec<&str> = Some(row.state.as_str())
            .filter(|state| !state.is_empty())
            .into_iter()
            .collect();
        if !is_as_expected || parents.len() != row.calls || states.iter().any(|lines| *lines != state) {
            failures.push(format!(
                "{}: {:?} -> {traceparents:?} {states:?}",
                row.case, row.headers
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn defined_flags_are_propagated_and_others_are_not() {
    let _telemetry = Telemetry::start();
    let bridge = Bridge::start().await;
    for (flags, expected) in [
        ("00", "00"),
        ("01", "01"),
        ("02", "02"),
        ("03", "03"),
        ("04", "00"),
        ("fe", "02"),
        ("ff", "03"),
    ] {
        let received = VALID.replace("6-01", &format!("6-{flags}"));
        let sent = bridge.send(&[("traceparent", received)], 2).await;
        for metadata in sent {
            assert_eq!(traceparent(&metadata).2, expected, "{flags}");
        }
    }
}

/// The members of consistent probability sampling, and the longest list there is.
#[tokio::test]
async fn tracestate_is_propagated_untouched() {
    let _telemetry = Telemetry::start();
    let bridge = Bridge::start().await;
    let long: Vec<String> = (0..31).map(|at| format!("k{at:02}={}", "v".repeat(120))).collect();
    for (state, flags) in [
        ("ot=th:8;rv:1234567890abcd", "03"),
        ("ot=th:c;p:8;rv:00000000000000,vendor=1", "02"),
        (&long.join(","), "01"),
    ] {
        let received = VALID.replace("6-01", &format!("6-{flags}"));
        let sent = bridge
            .send(&[("traceparent", &received[..]), ("tracestate", state)], 1)
            .await;
        assert_eq!(lines(&sent[0], "tracestate"), [state]);
        assert_eq!(traceparent(&sent[0]).2, flags);
    }
}

/// A span of the SDK that is not sampled loses the random flag. What is sent has it all the same.
#[tokio::test]
async fn the_random_flag_survives_spans_of_the_sdk() {
    let _telemetry = Telemetry::start();
    let bridge = Bridge::start().await;
    for flags in ["02", "03"] {
        let received = VALID.replace("6-01", &format!("6-{flags}"));
        let mut headers = tonic::metadata::MetadataMap::new();
        headers.insert("traceparent", received.parse().unwrap());
        let context = propagation::extract(&headers);
        let span = global::tracer("test").start_with_context("inner", &context);
        let context = context.with_span(span);
        let mut sent = tonic::metadata::MetadataMap::new();
        propagation::inject(&context, &mut sent);
        let inner = traceparent(&sent).2;
        // This crate starts no span here that could note the flag.
        assert_eq!(inner, if flags == "02" { "00" } else { "03" }, "what the SDK does");
        let sent = bridge
            .send(&[("traceparent", &received)], 1)
            .with_context(context)
            .await;
        assert_eq!(traceparent(&sent[0]).2, flags);
    }
}
