//! Whatever a caller sends is text on the zPages, never markup.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use integration_tests::own_process::in_own_process;
use opentelemetry::trace::{Span, Status, TraceContextExt, Tracer, mark_span_as_active};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value, global};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use scraper::{Html, Selector};

use crate::zpages::Pages;

/// The elements of the pages.
const ELEMENTS: [&str; 39] = [
    "a", "article", "body", "button", "caption", "code", "col", "colgroup", "div", "form", "h1", "h2", "h3", "head",
    "html", "input", "label", "li", "main", "meta", "nav", "p", "rect", "span", "strong", "style", "svg", "table",
    "tbody", "td", "th", "thead", "title", "tr", "ul", "header", "footer", "section", "tfoot",
];

/// Beginnings of markup and of other languages, which any text may contain.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<script>alert(1)</script>".to_owned()),
        Just("\"><img src=x onerror=alert(1)>".to_owned()),
        Just("' onmouseover='alert(1)".to_owned()),
        Just("</style><style>*{display:none}".to_owned()),
        Just("</title><meta http-equiv=refresh content=0;url=//evil.example>".to_owned()),
        Just("javascript:alert(1)".to_owned()),
        Just("<!--".to_owned()),
        Just("-->".to_owned()),
        Just("]]>".to_owned()),
        Just("&lt;b&gt;&#60;b&#62;&".to_owned()),
        Just("\u{202e}\u{0}\r\n\u{1b}[2J\u{feff}".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// Asserts that a page has no other elements, attributes and links than those of this crate.
fn assert_harmless(page: &str, path: &str) {
    let html = Html::parse_document(page);
    assert_eq!(html.errors, [] as [&str; 0], "{path}: {page}");
    let all = Selector::parse("*").unwrap();
    let known = BTreeSet::from(ELEMENTS);
    for element in html.select(&all) {
        let name = element.value().name();
        assert!(known.contains(name), "{path} has <{name}>");
        for (attribute, value) in element.value().attrs() {
            assert!(
                !attribute.starts_with("on") && attribute != "style" && attribute != "src",
                "{path}: {attribute}"
            );
            let is_local = value.starts_with("/debug/") || value.starts_with('?') || value == "#main";
            assert!(
                !["href", "action"].contains(&attribute) || is_local,
                "{path}: {attribute}={value}"
            );
        }
    }
    let count = |name| html.select(&Selector::parse(name).unwrap()).count();
    assert_eq!(
        (count("style"), count("title"), count("meta[http-equiv]")),
        (1, 1, 0),
        "{path}"
    );
}

/// Records a span with a log line, an event, a failure, and a span inside, all with this text.
fn record(text: &str, name: &str) -> Context {
    let tracer = global::tracer(text.to_owned());
    let mut span = tracer.start(name.to_owned());
    let list = Value::Array(Array::String(vec![StringValue::from(text.to_owned())]));
    span.set_attribute(KeyValue::new(text.to_owned(), text.to_owned()));
    span.set_attribute(KeyValue::new("list", list));
    span.set_attribute(KeyValue::new("error.type", text.to_owned()));
    span.add_event(text.to_owned(), vec![KeyValue::new(text.to_owned(), text.to_owned())]);
    span.set_status(Status::error(text.to_owned()));
    let context = Context::current_with_span(span);
    let _attached = context.clone().attach();
    tracing::error!(field = text, "{text}");
    let inner = tracer.start(name.to_owned());
    drop(mark_span_as_active(inner));
    context
}

#[test]
fn text_of_callers_is_never_markup() {
    in_own_process(|| {
        let pages = Pages::start();
        let mut runner = TestRunner::new(Config {
            cases: 200,
            failure_persistence: None,
            ..Config::default()
        });
        let result = runner.run(&(hostile(), hostile()), |(text, name)| {
            let context = record(&text, &name);
            let json = pages.json("/debug/tracez.json");
            // The newest row has the greatest id.
            let rows = json["spans"].as_array().unwrap();
            let row = rows.iter().max_by_key(|row| row["row"].as_u64()).unwrap();
            let id = &row["row"];
            for path in [
                "/debug/tracez".to_owned(),
                format!("/debug/tracez?filter={}", percent(&name)),
                format!("/debug/tracez?row={id}&show=running"),
            ] {
                assert_harmless(&pages.text(&path), &path);
            }
            context.span().end();
            let code: String = text.chars().take(20).collect();
            for show in [
                format!("failure-{text}"),
                format!("failure-{code}"),
                "latency-0".to_owned(),
            ] {
                let path = format!("/debug/tracez?row={id}&show={}", percent(&show));
                let (head, page) = integration_tests::http::get(pages.address, &path);
                if head.starts_with("HTTP/1.0 200") {
                    assert_harmless(&page, &path);
                }
            }
            Ok(())
        });
        result.unwrap();
    });
}

/// Returns the text as the value of a parameter.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(3 * text.len());
    for byte in text.bytes() {
        // Writing to a string does not fail.
        let _ = write!(encoded, "%{byte:02X}");
    }
    encoded
}
