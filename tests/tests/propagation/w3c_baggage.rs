//! W3C Baggage through a gRPC bridge: what the handler reads, and what the next service gets.

use integration_tests::bridge::{Bridge, Entries, lines};
use integration_tests::telemetry::Telemetry;

/// The lines that come in, what the handler has of them, and the line that goes out.
type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str, &'a str)], &'a str);

async fn check(rows: &[Row<'_>]) {
    let _telemetry = Telemetry::start();
    let bridge = Bridge::start().await;
    for (received, expected, sent) in rows {
        let headers: Vec<_> = received.iter().map(|line| ("baggage", *line)).collect();
        // Read, written, and what was written read and written again.
        for headers in [headers, vec![("baggage", *sent)]] {
            let metadata = bridge.send(&headers, 1).await;
            let expected: Entries = expected
                .iter()
                .map(|(key, value, metadata)| ((*key).to_owned(), (*value).to_owned(), (*metadata).to_owned()))
                .collect();
            assert_eq!(bridge.baggage(), expected, "{headers:?}");
            let lines = lines(&metadata[0], "baggage");
            let sent: Vec<&str> = Some(*sent).filter(|sent| !sent.is_empty()).into_iter().collect();
            assert_eq!(lines, sent, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn valid_members() {
    check(&[
        (&["a=1"], &[("a", "1", "")], "a=1"),
        (&["a="], &[("a", "", "")], "a="),
        (&["token=YWJjZA=="], &[("token", "YWJjZA==", "")], "token=YWJjZA=="),
        (&["b=1,a=2"], &[("a", "2", ""), ("b", "1", "")], "b=1,a=2"),
        (
            &["b=1", "a=2,c=3"],
            &[("a", "2", ""), ("b", "1", ""), ("c", "3", "")],
            "b=1,a=2,c=3",
        ),
        (&["a=1,b=2,a=3"], &[("a", "3", ""), ("b", "2", "")], "a=1,b=2,a=3"),
        (&[" a\t= 1 ,\tb =2 "], &[("a", "1", ""), ("b", "2", "")], "a=1,b=2"),
        (
            &["a!#$%&'*+-.^_`|~=1"],
            &[("a!#$%&'*+-.^_`|~", "1", "")],
            "a!#$%&'*+-.^_`|~=1",
        ),
        (
            &["SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t SomeKey2=SomeValue2;ValueProp \t = \t PropVal"],
            &[
                ("SomeKey", "SomeValue", "SomeProp"),
                ("SomeKey2", "SomeValue2", "ValueProp=PropVal"),
            ],
            "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal",
        ),
    ])
    .await;
}

#[tokio::test]
async fn percent_encoding_and_characters_beyond_ascii() {
    check(&[
        (&["a=100%2525"], &[("a", "100%25", "")], "a=100%2525"),
        (&["a=100%25"], &[("a", "100%", "")], "a=100%25"),
        (&["a=%5C%22%2C%3B%20"], &[("a", "\\\",; ", "")], "a=%5C%22%2C%3B%20"),
        (&["a=%41b"], &[("a", "Ab", "")], "a=%41b"),
        (
            &["userId=Am%C3%A9lie"],
            &[("userId", "Am\u{e9}lie", "")],
            "userId=Am%C3%A9lie",
        ),
        (&["a=%F0%9F%98%80"], &[("a", "\u{1f600}", "")], "a=%F0%9F%98%80"),
        (&["a=%ff%C3x"], &[("a", "\u{fffd}\u{fffd}x", "")], "a=%ff%C3x"),
        (
            &["a=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29"],
            &[("a", "\t \"';=asdf!@#$%^&*()", "")],
            "a=%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29",
        ),
    ])
    .await;
}

#[tokio::test]
async fn properties() {
    check(&[
        (&["a=1;p"], &[("a", "1", "p")], "a=1;p"),
        (&["a=1;p;p=1;p=2"], &[("a", "1", "p;p=1;p=2")], "a=1;p;p=1;p=2"),
        (&["a=1;p=x=y"], &[("a", "1", "p=x=y")], "a=1;p=x=y"),
        // No member of its own at the next service.
        (
            &["a=1;p=x%2Cadmin%3Dtrue"],
            &[("a", "1", "p=x%2Cadmin%3Dtrue")],
            "a=1;p=x%2Cadmin%3Dtrue",
        ),
        (
            &["a=1;p=100%2525,b=2"],
            &[("a", "1", "p=100%2525"), ("b", "2", "")],
            "a=1;p=100%2525,b=2",
        ),
        (&["a=1;p%20=%20q"], &[("a", "1", "p%20=%20q")], "a=1;p%20=%20q"),
    ])
    .await;
}

#[tokio::test]
async fn invalid_members_are_dropped() {
    for member in [
        "a",
        "=1",
        " ",
        "a b=1",
        "a@b=1",
        "(a)=1",
        "a=b c",
        "a=\"1\"",
        "a=\\",
        "a;p=1",
        "a=1;p q",
        "a=1;=1",
        "a=1;p=\"1\"",
        "\u{e9}=1",
        "a=\u{e9}",
        "a=1;p=\u{e9}",
    ] {
        check(&[
            (
                &[&format!("k=1,{member},l=2")],
                &[("k", "1", ""), ("l", "2", "")],
                "k=1,l=2",
            ),
            (&[member], &[], ""),
        ])
        .await;
    }
}

#[tokio::test]
async fn limits() {
    let members = |count: usize| (0..count).map(|at| format!("k{at:02}=v")).collect::<Vec<_>>();
    let all = members(64);
    let keys: Vec<String> = (0..64).map(|at| format!("k{at:02}")).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), "v", "")).collect();
    let value = "v".repeat(8190);
    let long = format!("a={value}");
    let shorter = format!("a={}", &value[4..]);
    check(&[
        (&[&all.join(",")], &entries, &all.join(",")),
        (&[&members(65).join(",")], &entries, &all.join(",")),
        (&[&long], &[("a", &value, "")], &long),
        (&[&format!("{long}v")], &[], ""),
        (
            &["b=1", &shorter],
            &[("a", &value[4..], ""), ("b", "1", "")],
            &format!("b=1,{shorter}"),
        ),
        (&["b=1", &format!("{shorter}v"), "c=2"], &[("b", "1", "")], "b=1"),
    ])
    .await;
}
