use opentelemetry::KeyValue;
use opentelemetry::baggage::{BaggageExt, KeyValueMetadata};
use proptest::prelude::*;

use super::*;

fn read(lines: &[&str]) -> Context {
    let mut lines = lines.iter().map(|line| line.as_bytes());
    with_baggage(&Context::new(), &mut lines).unwrap_or_default()
}

/// Returns the entries, sorted by key: key, value, metadata.
fn entries(context: &Context) -> Vec<(String, String, String)> {
    let entries = context.baggage().iter();
    let mut entries: Vec<_> = entries
        .map(|(key, (value, metadata))| (key.to_string(), value.to_string(), metadata.as_str().to_owned()))
        .collect();
    entries.sort_unstable();
    entries
}

#[test]
fn a_valid_member_is_written_as_it_was_read() {
    for (line, key, value, metadata) in [
        ("a=1", "a", "1", ""),
        ("a=", "a", "", ""),
        ("a=YWJjZA==", "a", "YWJjZA==", ""),
        ("a=%3D", "a", "=", ""),
        ("a=100%2525", "a", "100%25", ""),
        ("a=100%25", "a", "100%", ""),
        ("a=%5C%22%2C%3B%20%09", "a", "\\\",; \t", ""),
        ("a=Am%C3%A9lie", "a", "Am\u{e9}lie", ""),
        ("a=%41", "a", "A", ""),
        ("a=%e2%82%ac", "a", "\u{20ac}", ""),
        ("a=%ff%41%C3", "a", "\u{fffd}A\u{fffd}", ""),
        ("a=!#$&'()*+-./:<=>?@[]^_`{|}~", "a", "!#$&'()*+-./:<=>?@[]^_`{|}~", ""),
        ("a!#$%&'*+-.^_`|~9Z=1", "a!#$%&'*+-.^_`|~9Z", "1", ""),
        ("a%2C=1", "a%2C", "1", ""),
        ("a=1;p", "a", "1", "p"),
        ("a=1;p=2;p;q=%2C%3B;q=x=y", "a", "1", "p=2;p;q=%2C%3B;q=x=y"),
        ("a=1;p=100%2525", "a", "1", "p=100%2525"),
    ] {
        let context = read(&[line]);
        let expected = vec![(key.to_owned(), value.to_owned(), metadata.to_owned())];
        assert_eq!(entries(&context), expected, "{line:?}");
        assert_eq!(format(&context).as_deref(), Some(line));
        assert_eq!(entries(&read(&[&format(&context).unwrap()])), expected, "{line:?}");
    }
}

#[test]
fn a_list_is_written_with_its_order_and_without_its_white_space() {
    for (lines, list) in [
        (&["b=1,a=2", "c=3"][..], "b=1,a=2,c=3"),
        (&[" a \t=\t 1 ; p\t; q = 2 ,, \t,b=2,", ""], "a=1;p;q=2,b=2"),
        (&["a=1;,b=2;;p"], "a=1,b=2;p"),
        (&["a=1;p,b=2,a=3"], "a=1;p,b=2,a=3"),
    ] {
        assert_eq!(format(&read(lines)).as_deref(), Some(list), "{lines:?}");
    }
    assert_eq!(read(&["a=1,a=2"]).baggage().get("a").unwrap().as_str(), "2");
}

#[test]
fn an_invalid_member_is_dropped_and_the_others_stay() {
    for member in [
        "b",
        "=2",
        " =2",
        "b c=2",
        "b@c=2",
        "\u{e9}=2",
        "b=\u{e9}",
        "b=c d",
        "b=\"2\"",
        "b=\\",
        "b=\u{7f}",
        "b;p=1",
        "b=2;p q",
        "b=2;=1",
        "b=2;p=\"1\"",
        "b=2;p=\u{e9}",
        "(b)=2",
    ] {
        let line = format!("a=1,{member},c=3");
        assert_eq!(super::format(&read(&[&line])).as_deref(), Some("a=1,c=3"), "{line:?}");
        assert_eq!(super::format(&read(&[member])), None, "{member:?}");
    }
    let context = Context::new().with_baggage([KeyValue::new("a", "1")]);
    assert!(with_baggage(&context, &mut [&b"b"[..]].into_iter()).is_none());
}

#[test]
fn entries_of_this_process_are_encoded() {
    for (value, metadata, expected) in [
        ("", "", "k="),
        ("100%25", "", "k=100%2525"),
        ("a=b+c", "", "k=a%3Db%2Bc"),
        (" \t\"\\,;\n", "", "k=%20%09%22%5C%2C%3B%0A"),
        ("Am\u{e9}lie", "", "k=Am%C3%A9lie"),
        ("1", "p", "k=1;p"),
        ("1", " p = 1 ; q ;; no key; =2;\u{e9}=3", "k=1;p=1;q"),
        ("1", "p=a,b=c\"\\ \u{e9}", "k=1;p=a%2Cb=c%22%5C%20%C3%A9"),
        ("1", "p=%2C%zz%4", "k=1;p=%2C%25zz%254"),
    ] {
        let context = Context::new().with_baggage([KeyValueMetadata::new("k", value, metadata)]);
        assert_eq!(format(&context).as_deref(), Some(expected), "{value:?} {metadata:?}");
        let again = read(&[expected]);
        assert_eq!(again.baggage().get("k").unwrap().as_str(), value);
        assert_eq!(format(&again).as_deref(), Some(expected));
    }
}

#[test]
fn what_this_process_changes_is_written_after_what_it_keeps() {
    let received = read(&["z=%41,b=1;p,a=1,b=2"]);
    let with = |change: &dyn Fn(&mut opentelemetry::baggage::Baggage)| {
        let mut baggage = opentelemetry::baggage::Baggage::new();
        for (key, (value, metadata)) in received.baggage() {
            baggage.insert_with_metadata(key.clone(), value.clone(), metadata.clone());
        }
        change(&mut baggage);
        format(&received.with_baggage(baggage))
    };
    assert_eq!(with(&|_| {}).as_deref(), Some("z=%41,b=1;p,a=1,b=2"));
    let changed = with(&|baggage| {
        baggage.insert("new", "3");
        baggage.insert("b", "4");
        baggage.insert("c", "5");
        baggage.remove("a");
    });
    assert_eq!(changed.as_deref(), Some("z=%41,b=4,c=5,new=3"));
    assert_eq!(format(&received.with_cleared_baggage()), None);
    let other = received.with_baggage([KeyValue::new("other", "1")]);
    assert_eq!(format(&other).as_deref(), Some("other=1"));
}

#[test]
fn members_beyond_the_limits_are_dropped_as_a_whole_from_the_end() {
    let members = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
    assert_eq!(format(&read(&[&members(64)])), Some(members(64)));
    assert_eq!(format(&read(&[&members(65)])), Some(members(64)));
    let member = |bytes: usize| format!("k={}", "v".repeat(bytes - 2));
    assert_eq!(format(&read(&[&member(8192)])), Some(member(8192)));
    assert_eq!(format(&read(&[&member(8193)])), None);
    assert_eq!(
        format(&read(&["a=1", &member(8188), "b=2"])),
        Some(format!("a=1,{}", member(8188)))
    );
    assert_eq!(format(&read(&["a=1", &member(8189), "b=2"])), Some("a=1".to_owned()));
    // Percent-encoding makes this value three times as long.
    let long = Context::new().with_baggage([KeyValue::new("a", "1"), KeyValue::new("b", " ".repeat(3000))]);
    assert_eq!(format(&long).as_deref(), Some("a=1"));
}

proptest! {
    #[test]
    fn any_valid_list_is_written_as_it_was_read(
        members in prop::collection::vec(
            "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}=[!#-+\\--:<-\\[\\]-~]{0,30}(;[a-z]{1,5}(=[!#-+\\--:<-\\[\\]-~]{0,9})?){0,3}",
            1..=64,
        ),
    ) {
        let list = members.join(",");
        prop_assert_eq!(format(&read(&[&list])), Some(list));
    }

    #[test]
    fn any_entry_arrives_as_it_was(value in any::<String>().prop_filter("too long", |value| value.len() < 2000)) {
        let context = Context::new().with_baggage([KeyValue::new("key", value.clone())]);
        let header = format(&context).unwrap();
        prop_assert!(header.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(entries(&read(&[&header])), vec![("key".to_owned(), value, String::new())]);
    }

    #[test]
    fn any_metadata_is_written_within_its_member(metadata in any::<String>()) {
        let context = Context::new().with_baggage([KeyValueMetadata::new("key", "1", metadata.as_str())]);
        if let Some(header) = format(&context) {
            let again = read(&[&header]);
            prop_assert_eq!(again.baggage().len(), 1);
            prop_assert_eq!(format(&again), Some(header));
        }
    }

    #[test]
    fn any_lines_are_read_or_ignored(lines in prop::collection::vec(any::<Vec<u8>>(), 0..4)) {
        if let Some(context) = with_baggage(&Context::new(), &mut lines.iter().map(Vec::as_slice)) {
            let header = format(&context).unwrap();
            prop_assert_eq!(entries(&read(&[&header])), entries(&context));
            prop_assert_eq!(format(&read(&[&header])), Some(header));
        }
    }
}
