//! The zPages in a browser: what runs, what failed, and that callers' text does nothing.

use std::path::Path;

use examples::routeguide::route_guide_client::RouteGuideClient;
use examples::routeguide::{Point, Rectangle, RouteNote};
use examples::servers::Servers;
use integration_tests::own_process::{in_own_process, in_own_process_async};
use opentelemetry::trace::{Span, Tracer};
use opentelemetry::{KeyValue, global};
use otel_runtime::TracedChannel;
use otel_setup::{StdoutLogs, Telemetry};
use peers::browser::Browser;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

type Client = RouteGuideClient<TracedChannel>;

/// A key of the [WebDriver protocol](https://www.w3.org/TR/webdriver2/#keyboard-actions).
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

fn telemetry() -> (Telemetry, String) {
    let telemetry = otel_setup::builder()
        .service_name("route-guide")
        .trace_exporters([])
        .metric_exporters([])
        .log_exporters([])
        .stdout_logs(StdoutLogs::Off)
        .zpages_address("127.0.0.1:0".parse().unwrap())
        .init()
        .unwrap();
    let address = telemetry.zpages_address().unwrap();
    (telemetry, format!("http://{address}/debug/tracez"))
}

async fn client(servers: &Servers) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", servers.route_guide())).unwrap();
    RouteGuideClient::new(TracedChannel::connect(endpoint).await.unwrap())
}

fn note(message: &str) -> RouteNote {
    RouteNote {
        location: Some(Point::default()),
        message: message.to_owned(),
    }
}

/// Opens a stream that lasts until the sender is dropped, and returns once it has started.
async fn hang(client: &mut Client) -> (mpsc::Sender<RouteNote>, tonic::Streaming<RouteNote>) {
    let (notes, sent) = mpsc::channel(4);
    for message in ["here", "there"] {
        notes.send(note(message)).await.unwrap();
    }
    let mut answers = client.route_chat(ReceiverStream::new(sent)).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    (notes, answers)
}

/// Calls every kind of RPC, some of which fail.
async fn call_everything(client: &mut Client) {
    let point = |latitude, longitude| Point { latitude, longitude };
    for _ in 0..12 {
        client.get_feature(point(407_838_351, -746_143_763)).await.unwrap();
    }
    client.get_feature(point(0, 0)).await.unwrap_err();
    client.get_feature(point(410_873_075, -744_459_023)).await.unwrap_err();
    let area = Rectangle {
        lo: Some(point(400_000_000, -1_800_000_000)),
        hi: Some(point(409_000_000, 1_800_000_000)),
    };
    let mut features = client.list_features(area).await.unwrap().into_inner();
    while features.message().await.unwrap().is_some() {}
    let route = tokio_stream::iter([point(0, 0), point(1, 1)]);
    client.record_route(route).await.unwrap();
    let talk = client.route_chat(tokio_stream::iter([note("one"), note("two")])).await;
    let mut answers = talk.unwrap().into_inner();
    while answers.message().await.unwrap().is_some() {}
}

/// Runs the steps of a browser on a thread of its own, while the services run.
async fn with_browser<T: Send + 'static>(steps: impl FnOnce(Browser) -> T + Send + 'static) -> T {
    let steps = tokio::task::spawn_blocking(move || steps(Browser::start(1500, 735)));
    steps.await.unwrap()
}

/// The cell of a row's running spans.
const RUNNING: &str = "td.r a";

/// Opens a page again until these elements have these texts: the other side's span may take a
/// moment longer to end.
fn open_until(browser: &Browser, url: &str, selector: &str, texts: &[&str]) {
    browser.wait_until(|browser| {
        browser.open(url);
        browser.texts(selector) == texts
    });
}

#[test]
fn a_hanging_stream_is_seen_and_disappears_when_it_ends() {
    in_own_process_async(async {
        let (_telemetry, url) = telemetry();
        let servers = Servers::start().await.unwrap();
        let mut client = client(&servers).await;
        call_everything(&mut client).await;
        let (notes, mut answers) = hang(&mut client).await;
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let browser = with_browser(move |browser| {
            // The stream at the server, and at the client.
            open_until(&browser, &url, RUNNING, &["1", "1"]);
            browser.click(RUNNING);
            assert_eq!(
                browser.title(),
                "routeguide.RouteGuide/RouteChat (server), running now · route-guide"
            );
            assert!(browser.texts("h2")[0].starts_with("1. Running for "));
            browser.click("nav li:nth-child(3) a");
            browser.wait_until(|browser| browser.texts("nav li:nth-child(3)") == ["Stop reloading"]);
            // A reload keeps the place on the page only, not that in a part of it.
            assert_eq!(browser.style(".wide", "overflow-x"), "visible");
            end.send(()).unwrap();
            let none = "0 of 0 spans, the oldest first.".to_owned();
            browser.wait_until(|browser| browser.texts("p").contains(&none));
            assert_eq!(browser.texts("h2"), [] as [&str; 0]);
            open_until(&browser, &url, RUNNING, &[]);
            assert_eq!(browser.console(), [] as [serde_json::Value; 0]);
        });
        let end_of_stream = async {
            ended.await.unwrap();
            drop(notes);
            while answers.next().await.is_some() {}
        };
        tokio::join!(browser, end_of_stream);
    });
}

#[test]
fn a_failures_log_line_is_two_clicks_away() {
    in_own_process_async(async {
        let (_telemetry, url) = telemetry();
        let servers = Servers::start().await.unwrap();
        let mut client = client(&servers).await;
        call_everything(&mut client).await;
        let _hanging = hang(&mut client).await;
        with_browser(move |browser| {
            // At the server, and at the client.
            let failure = "td.f a[href*='failure-INTERNAL']";
            open_until(&browser, &url, failure, &["INTERNAL 1", "INTERNAL 1"]);
            browser.prefer("light");
            let light = browser.style("body", "background-color");
            browser.prefer("dark");
            let dark = browser.style("body", "background-color");
            assert_eq!([&*light, &*dark], ["rgba(255, 255, 255, 1)", "rgba(18, 22, 28, 1)"]);
            // A screen reader tells captions and headings.
            let tables = browser.accessible("table");
            let caption = "Spans by name: running now, ended without a failure by latency, and failed by code";
            assert_eq!(tables, [("table".to_owned(), caption.to_owned())]);
            assert_eq!(browser.accessible("thead th:first-child")[0].0, "columnheader");
            assert_eq!(browser.accessible("tbody th")[0].0, "rowheader");
            picture(&browser, "zpages.png");
            // The first click.
            browser.click(failure);
            let lines = browser.texts("[aria-label='Log lines'] td:last-child");
            let expected = "the geocoder has no name for a feature latitude=410873075 longitude=-744459023";
            assert_eq!(lines, [expected]);
            // Without a mouse: the skip link, and then the navigation.
            browser.open(&url);
            browser.press(&TAB.to_string());
            assert_eq!(browser.focused(), "Skip to the content");
            browser.press(&[TAB, TAB, ENTER].iter().collect::<String>());
            browser.wait_until(|browser| browser.texts("h1") == ["RPCs"]);
            assert_eq!(browser.console(), [] as [serde_json::Value; 0]);
        })
        .await;
    });
}

#[test]
fn a_hostile_name_does_nothing() {
    in_own_process(|| {
        let (_telemetry, url) = telemetry();
        let hostile =
            "\"><script>alert(1)</script><img src=x onerror=\"document.title='taken over'\"><style>*{color:red}";
        let tracer = global::tracer("app");
        let attribute = KeyValue::new(hostile, hostile);
        let mut span = tracer.span_builder(hostile).with_attributes([attribute]).start(&tracer);
        let browser = Browser::start(1400, 800);
        // A page is open once all its scripts have run, and its pictures have come or failed.
        browser.open(&url);
        assert_eq!(browser.dialog(), None);
        assert_eq!(browser.texts("tbody th"), [hostile]);
        browser.click(RUNNING);
        assert_eq!(browser.dialog(), None);
        assert_eq!(
            browser.title(),
            format!("{hostile} (internal), running now · route-guide")
        );
        assert_eq!(browser.texts("article tbody th")[1], hostile);
        for element in ["script", "img"] {
            assert_eq!(browser.texts(element), [] as [&str; 0], "{element}");
        }
        assert_eq!(browser.texts("style").len(), 1);
        assert_ne!(browser.style("body", "color"), "rgba(255, 0, 0, 1)");
        span.end();
    });
}

/// Takes a picture. With `UPDATE_SCREENSHOTS=1` it becomes that of the README.
fn picture(browser: &Browser, name: &str) {
    let picture = browser.screenshot();
    assert!(
        picture.starts_with(b"\x89PNG") && picture.len() > 10_000,
        "{} bytes",
        picture.len()
    );
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        std::fs::write(docs.join(name), picture).unwrap();
    }
}
