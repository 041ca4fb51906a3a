//! `/debug/tracez`: the RPCs that run, with their clients and messages so far.

use std::fs;

use integration_tests::http;
use integration_tests::kinds::Message;
use integration_tests::kinds::client_stream_client::ClientStreamClient;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::{in_own_process, in_own_process_async, in_own_process_with};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, serve, serve_with};
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use opentelemetry_sdk::trace::SdkTracerProvider;
use otel_runtime::{ClientLayer, Instrumentation, ServerLayer};
use scraper::Selector;
use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::transport::Server;
use tower::ServiceBuilder;
use tower_layer::Layer;

use crate::zpages::{Pages, texts};
use crate::zpages_access::status_at;

/// Returns the only running RPC of a name and a kind.
pub(crate) fn running(pages: &Pages, name: &str, kind: &str) -> Value {
    let row = pages.row(name, kind);
    let samples = pages.json(&format!("/debug/tracez.json?row={}&show=running", row["row"]));
    assert_eq!((&row["running"], &samples["count"]), (&json!(1), &json!(1)), "{name}");
    samples["samples"][0].clone()
}

/// Returns the messages that an RPC has received and sent.
fn messages(sample: &Value) -> [&Value; 2] {
    [&sample["received_messages"], &sample["sent_messages"]]
}

/// Returns the texts of the log lines of a span.
pub(crate) fn lines(sample: &Value) -> Vec<&str> {
    let lines = sample["logs"].as_array().unwrap().iter();
    lines.map(|line| line["text"].as_str().unwrap()).collect()
}

#[test]
fn running_rpcs_have_their_peer_and_their_messages() {
    in_own_process_async(async {
        let pages = Pages::start();
        let service = ScriptedService::default();
        let layer = ServerLayer::new();
        let server = serve_with(Server::builder().layer(layer), Annotated::routes(&service)).await;
        let address = server.address;
        let channel = ClientLayer::new(format!("http://{address}")).layer(server.channel().await);

        let mut client = ServerStreamClient::new(channel.clone());
        let mut stream = client.call(Message::from("later wait")).await.unwrap().into_inner();
        stream.message().await.unwrap();
        let next = tokio::spawn(async move { while stream.message().await.unwrap().is_some() {} });
        service.waits().await;
        let name = "kinds.ServerStream/Call";
        let (at_server, at_client) = (running(&pages, name, "server"), running(&pages, name, "client"));
        assert_eq!(messages(&at_server), [&json!(1), &json!(1)]);
        assert_eq!(messages(&at_client), [&json!(1), &json!(1)]);
        let peer = at_server["peer"].as_str().unwrap();
        let (host, port) = peer.split_once(':').unwrap();
        assert_eq!((host, &at_client["peer"]), ("127.0.0.1", &Value::Null));
        let attributes = json!({
            "rpc.system.name": "grpc",
            "rpc.method": name,
            "server.address": "127.0.0.1",
            "server.port": address.port(),
            "network.peer.address": "127.0.0.1",
            "network.peer.port": port.parse::<u16>().unwrap(),
        });
        assert_eq!(at_server["spans"][0]["attributes"], attributes);
        assert_eq!(
            at_server["spans"][0]["parent_id"],
            at_client["spans"][0]["context"]["span_id"]
        );
        assert_eq!(at_server["spans"][0]["scope"]["name"], "otel-runtime");
        let row = pages.row(name, "server");
        let html = pages.html(&format!("/debug/tracez?row={}&show=running", row["row"]));
        let so_far = format!("From {peer} · Messages received: 1 · Messages sent: 1");
        assert!(
            texts(&html, "article p").contains(&so_far),
            "{:?}",
            texts(&html, "article p")
        );
        let row = pages.row(name, "client");
        let html = pages.html(&format!("/debug/tracez?row={}&show=running", row["row"]));
        let so_far = format!("To {address} · Messages received: 1 · Messages sent: 1");
        assert!(
            texts(&html, "article p").contains(&so_far),
            "{:?}",
            texts(&html, "article p")
        );
        service.release();
        next.await.unwrap();

        // The handler reads one message of three, and sends nothing.
        let mut client = ClientStreamClient::new(channel);
        let requests = tokio_stream::iter(["wait", "b", "c"].map(Message::from)).chain(tokio_stream::pending());
        let call = tokio::spawn(async move { client.call(requests).await });
        service.waits().await;
        let name = "kinds.ClientStream/Call";
        let at_client = running(&pages, name, "client");
        assert_eq!(messages(&at_client), [&json!(0), &json!(3)]);
        let at_server = running(&pages, name, "server");
        assert_eq!(at_server["sent_messages"], 0);
        assert!(
            (1..=3).contains(&at_server["received_messages"].as_u64().unwrap()),
            "{at_server}"
        );
        call.abort();
        for kind in ["client", "server"] {
            pages
                .row_when(name, kind, |row| row["failures"]["CANCELLED"] == 1)
                .await;
            assert_eq!(pages.row(name, kind)["running"], 0);
        }
    });
}

#[test]
fn the_address_of_a_server_that_is_called_can_be_told_from_its_port() {
    in_own_process_async(async {
        let pages = Pages::start();
        let service = ScriptedService::default();
        let server = serve(Annotated::routes(&service)).await;
        for (target, expected) in [
            ("http://[::1]:50051", "To [::1]:50051"),
            ("http://127.0.0.1:50051", "To 127.0.0.1:50051"),
            ("greeter.example", "To greeter.example"),
        ] {
            let channel = ClientLayer::new(target).layer(server.channel().await);
            let mut client = UnaryClient::new(channel);
            let call = tokio::spawn(async move { client.call(Message::from("wait")).await });
            service.waits().await;
            let row = pages.row("kinds.Unary/Call", "client");
            let html = pages.html(&format!("/debug/tracez?row={}&show=running", row["row"]));
            let so_far = texts(&html, "article p");
            let expected = format!("{expected} · Messages received: 0 · Messages sent: 1");
            assert!(so_far.contains(&expected), "{target}: {so_far:?}");
            service.release();
            call.await.unwrap().unwrap();
        }
    });
}

#[test]
fn messages_that_nobody_counts_are_not_shown() {
    in_own_process_async(async {
        let pages = Pages::start();
        let service = ScriptedService::default();
        let server = serve(Annotated::routes(&service)).await;
        let mut client = UnaryClient::new(server.channel().await);
        let call = tokio::spawn(async move { client.call(Message::from("wait")).await });
        service.waits().await;
        let sample = running(&pages, "kinds.Unary/Call", "server");
        assert_eq!(messages(&sample), [&Value::Null, &Value::Null]);
        assert!(sample["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{sample}");
        service.release();
        call.await.unwrap().unwrap();
        pages
            .row_when("kinds.Unary/Call", "server", |row| row["running"] == 0)
            .await;
    });
}

#[test]
fn spans_of_other_providers_are_not_shown() {
    in_own_process_async(async {
        let pages = Pages::start();
        let service = ScriptedService::default();
        let other = SdkTracerProvider::builder().build();
        let own = Instrumentation::builder().tracer_provider(&other).build();
        let layer = ServerLayer::new().instrumentation(own);
        let server = serve_with(Server::builder().layer(layer), Annotated::routes(&service)).await;
        let mut client = UnaryClient::new(server.channel().await);
        let call = tokio::spawn(async move { client.call(Message::from("wait")).await });
        service.waits().await;
        // A span of the program is not taken for that of the RPC.
        let mut span = global::tracer("app").start("a job");
        assert_eq!(pages.row("kinds.Unary/Call", "server"), Value::Null);
        assert_eq!(running(&pages, "a job", "internal")["spans"][0]["name"], "a job");
        span.end();
        service.release();
        call.await.unwrap().unwrap();
        assert_eq!(pages.row("kinds.Unary/Call", "server"), Value::Null);
        assert_eq!(pages.json("/debug/tracez.json")["uncounted_running"], 0);
    });
}

/// Serves behind two layers, of which the inner one starts the calls of the outer one anew.
async fn serve_anew(service: &ScriptedService) -> RunningServer {
    let layers = ServiceBuilder::new()
        .layer(ServerLayer::new())
        .layer(ServerLayer::new().public_endpoint())
        .into_inner();
    serve_with(Server::builder().layer(layers), Annotated::routes(service)).await
}

#[test]
fn a_call_that_starts_anew_runs_once() {
    in_own_process_async(async {
        let pages = Pages::start();
        let service = ScriptedService::default();
        let server = serve_anew(&service).await;
        let channel = ClientLayer::new("greeter.example").layer(server.channel().await);
        let mut client = UnaryClient::new(channel);
        let call = tokio::spawn(async move { client.call(Message::from("wait")).await });
        service.waits().await;
        assert_eq!(pages.row("kinds.Unary/Call", "server")["running"], 1);
        service.release();
        call.await.unwrap().unwrap();
        pages
            .row_when("kinds.Unary/Call", "server", |row| row["running"] == 0)
            .await;
    });
}

/// Returns the number of running spans without a row.
fn uncounted(pages: &Pages) -> u64 {
    pages.json("/debug/tracez.json")["uncounted_running"].as_u64().unwrap()
}

#[test]
fn a_call_that_starts_anew_beyond_the_room_of_the_table_is_not_counted_for_ever() {
    in_own_process_async(async {
        let pages = Pages::with(|setup| setup.zpages_memory_limit(65_536));
        let service = ScriptedService::default();
        let server = serve_anew(&service).await;
        let channel = ClientLayer::new("greeter.example").layer(server.channel().await);
        let mut client = UnaryClient::new(channel);
        let tracer = global::tracer("app");
        let open: Vec<_> = (0..2000).map(|_| tracer.start("watch")).collect();
        let before = uncounted(&pages);
        assert!(before > 1000, "{before}");
        client.call(Message::from("a")).await.unwrap();
        pages.row_when("kinds.Unary/Call", "server", |row| !row.is_null()).await;
        assert_eq!(uncounted(&pages), before);
        drop(open);
        assert_eq!(uncounted(&pages), 0);
    });
}

#[test]
fn a_span_that_outlives_the_first_one_has_its_log_lines() {
    in_own_process(|| {
        let pages = Pages::start();
        let tracer = global::tracer("app");
        let first = Context::current_with_span(tracer.start("first"));
        let inner = first.with_span(tracer.start_with_context("inner", &first));
        let log = |text| {
            let _attached = inner.clone().attach();
            tracing::info!("{text}");
        };
        log("before");
        assert_eq!(lines(&running(&pages, "inner", "internal")), ["before"]);
        assert_eq!(lines(&running(&pages, "first", "internal")), ["before"]);
        first.span().end();
        log("after");
        assert_eq!(lines(&running(&pages, "inner", "internal")), ["before", "after"]);
        inner.span().end();
        let row = pages.row("inner", "internal");
        let mut latencies = row["latencies"].as_array().unwrap().iter();
        let bucket = latencies.position(|latency| latency["count"] == 1).unwrap();
        let ended = pages.json(&format!("/debug/tracez.json?row={}&show=latency-{bucket}", row["row"]));
        assert_eq!(lines(&ended["samples"][0]), ["before", "after"]);
    });
}

#[test]
fn rows_as_json_come_in_parts() {
    in_own_process(|| {
        let pages = Pages::start();
        let tracer = global::tracer("app");
        for number in 0..350 {
            tracer.start(format!("job {number:03}")).end();
        }
        let part = |query: &str| {
            let part = pages.json(&format!("/debug/tracez.json{query}"));
            let names = part["spans"].as_array().unwrap().iter();
            let names: Vec<String> = names.map(|row| row["name"].as_str().unwrap().to_owned()).collect();
            (names, part["total"].clone(), part["next_from"].clone())
        };
        let names = |range: std::ops::Range<usize>| range.map(|number| format!("job {number:03}")).collect::<Vec<_>>();
        for (query, range, total, next) in [
            ("", 0..300, 350, json!(300)),
            ("?from=300", 300..350, 350, Value::Null),
            ("?from=350", 0..0, 350, Value::Null),
            ("?from=10&limit=5", 10..15, 350, json!(15)),
            ("?limit=1000", 0..350, 350, Value::Null),
            ("?limit=0", 0..300, 350, json!(300)),
            ("?filter=job+01&limit=4", 10..14, 10, json!(4)),
            (
                "?from=18446744073709551615&limit=18446744073709551615",
                0..0,
                350,
                Value::Null,
            ),
        ] {
            assert_eq!(part(query), (names(range), json!(total), next), "{query}");
        }
    });
}

/// A page that loads itself again does so with another filter, and so do its further pages.
#[test]
fn the_form_and_the_further_pages_keep_the_reload() {
    in_own_process(|| {
        let pages = Pages::start();
        let tracer = global::tracer("app");
        for number in 0..301 {
            tracer.start(format!("job {number}")).end();
        }
        for (query, reloads) in [("", 0), ("?refresh=2", 1), ("?filter=job&refresh=2", 1)] {
            let page = pages.html(&format!("/debug/tracez{query}"));
            for (selector, expected) in [
                ("meta[http-equiv=refresh]", reloads),
                ("form input[type=hidden][name=refresh][value='2']", reloads),
                ("nav[aria-label='More names'] a", 2),
                ("nav[aria-label='More names'] a[href$='&refresh=2']", 2 * reloads),
            ] {
                let found = page.select(&Selector::parse(selector).unwrap()).count();
                assert_eq!(found, expected, "{query} {selector}");
            }
        }
    });
}

#[test]
fn the_configuration_file_has_the_settings() {
    let content = "file_format: \"1.0\"\ndistribution:\n  otel_setup:\n    zpages: \
                   {address: \"127.0.0.1:0\", memory_limit: 100000, allowed_hosts: [pod.example]}\n";
    // The process of the test has another temporary directory.
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/zpages.yaml");
    fs::write(path, content).unwrap();
    // The file is everything.
    let variables = [("OTEL_CONFIG_FILE", path), ("OTEL_RUST_ZPAGES_ADDRESS", "127.0.0.1:1")];
    in_own_process_with(&variables, || {
        let telemetry = otel_setup::init().unwrap();
        let address = telemetry.zpages_address().unwrap();
        assert_ne!(address.port(), 1);
        for number in 0..1000 {
            global::tracer("app").start(format!("job {number}")).end();
        }
        let (head, body) = http::get(address, "/debug/tracez.json?limit=1000");
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
        let json: Value = serde_json::from_str(&body).unwrap();
        // 30,000 bytes are for rows.
        assert!(
            (30..200).contains(&json["total"].as_u64().unwrap()),
            "{}",
            json["total"]
        );
        for (host, expected) in [("pod.example", "200 OK"), ("evil.example", "403 Forbidden")] {
            let status = status_at(address, "GET /debug/tracez", &format!("Host: {host}\r\n"));
            assert_eq!(status, format!("HTTP/1.0 {expected}"));
        }
    });
}
