//! `/debug/tracez`: spans that run, and samples of those that ended.

use std::net::SocketAddr;
use std::time::Duration;

use examples::helloworld::greeter_client::GreeterClient;
use examples::helloworld::greeter_server::{Greeter, GreeterServer};
use examples::helloworld::{HelloReply, HelloRequest};
use integration_tests::http;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::{in_own_process, in_own_process_async};
use integration_tests::scripted::{Annotated, ScriptedService};
use integration_tests::server::{RunningServer, TIMEOUT, serve};
use opentelemetry::trace::{
    Span, SpanContext, SpanId, Status as SpanStatus, TraceFlags, TraceId, TraceState, Tracer, get_active_span,
};
use opentelemetry::{KeyValue, global};
use otel_runtime::traced_service;
use otel_setup::{Builder, Exporter, StdoutLogs, Telemetry};
use scraper::{Html, Selector};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::{Request, Response, Status};

/// The pages of this process.
pub(crate) struct Pages {
    pub(crate) address: SocketAddr,
    pub(crate) telemetry: Telemetry,
}

impl Pages {
    /// Sets this process up, without exporters.
    pub(crate) fn start() -> Self {
        Pages::with(|setup| setup)
    }

    pub(crate) fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let setup = otel_setup::builder()
            .trace_exporters([])
            .metric_exporters([])
            .log_exporters([])
            .stdout_logs(StdoutLogs::Off)
            .zpages_address("127.0.0.1:0".parse().unwrap());
        Pages::of(configure(setup))
    }

    pub(crate) fn of(setup: Builder) -> Self {
        let telemetry = setup.init().unwrap();
        Pages {
            address: telemetry.zpages_address().unwrap(),
            telemetry,
        }
    }

    pub(crate) fn text(&self, path: &str) -> String {
        let (head, body) = http::get(self.address, path);
        assert!(head.starts_with("HTTP/1.0 200 OK"), "{head}");
        body
    }

    pub(crate) fn html(&self, path: &str) -> Html {
        let html = Html::parse_document(&self.text(path));
        assert_eq!(html.errors, [] as [&str; 0], "{path}");
        html
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path)).unwrap()
    }

    /// Returns the row of a name and a kind, or `null`.
    pub(crate) fn row(&self, name: &str, kind: &str) -> Value {
        let json = self.json("/debug/tracez.json");
        let mut rows = json["spans"].as_array().unwrap().iter();
        let row = rows.find(|row| row["name"] == name && row["kind"] == kind);
        row.cloned().unwrap_or_default()
    }

    /// Returns a row once a condition holds.
    pub(crate) async fn row_when(&self, name: &str, kind: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let wait = async {
            loop {
                let row = self.row(name, kind);
                if condition(&row) {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, wait).await;
        waited.unwrap_or_else(|_| panic!("{}", self.row(name, kind)))
    }
}

/// Returns the texts of all elements that a selector selects.
pub(crate) fn texts(html: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let elements = html.select(&selector);
    elements
        .map(|element| element.text().collect::<String>().trim().to_owned())
        .collect()
}

/// Returns the number of spans that ended without a failure, whatever their latency.
fn succeeded(row: &Value) -> u64 {
    let latencies = row["latencies"].as_array().into_iter().flatten();
    latencies.map(|latency| latency["count"].as_u64().unwrap()).sum()
}

struct Talker;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Talker {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let HelloRequest { name } = request.into_inner();
        tracing::info!(name, "greeting");
        get_active_span(|span| span.add_event("asked", vec![KeyValue::new("name", name.clone())]));
        let tracer = global::tracer("app");
        tracer.in_span("look up", |_| tracing::debug!("not logged"));
        if name.is_empty() {
            tracing::warn!("there is no name");
            return Err(Status::internal("nobody"));
        }
        Ok(Response::new(HelloReply { message: name }))
    }
}

async fn server(service: &ScriptedService) -> RunningServer {
    serve(Annotated::routes(service).add_service(GreeterServer::new(Talker))).await
}

#[test]
fn a_running_stream_is_shown_and_disappears_when_it_ends() {
    in_own_process_async(async {
        let pages = Pages::start();
        assert_eq!(
            pages.json("/debug/tracez.json"),
            json!({ "spans": [], "total": 0, "next_from": null, "uncounted_running": 0 })
        );
        let service = ScriptedService::default();
        let server = server(&service).await;
        let mut client = ServerStreamClient::new(server.channel().await);
        let mut stream = client
            .call(integration_tests::kinds::Message::from("later wait"))
            .await
            .unwrap()
            .into_inner();
        stream.message().await.unwrap();
        let next = tokio::spawn(async move { stream.message().await.unwrap() });
        service.waits().await;

        let row = pages.row("kinds.ServerStream/Call", "server");
        assert_eq!(
            (&row["running"], &row["is_rpc"], succeeded(&row)),
            (&json!(1), &json!(true), 0)
        );
        let summary = pages.html("/debug/tracez");
        assert_eq!(texts(&summary, "tbody th"), ["kinds.ServerStream/Call"]);
        assert_eq!(texts(&summary, "tbody td")[..3], ["server", "1", ""]);
        let link = format!("?row={}&show=running", row["row"]);
        let selector = Selector::parse("tbody a").unwrap();
        let links: Vec<&str> = summary.select(&selector).map(|a| a.attr("href").unwrap()).collect();
        assert_eq!(links, [&link]);

        let running = pages.html(&format!("/debug/tracez{link}"));
        assert_eq!(texts(&running, "h1"), ["kinds.ServerStream/Call (server), running now"]);
        assert!(texts(&running, "h2")[0].starts_with("1. Running for "));
        assert_eq!(texts(&running, "article tbody td")[2], "running");
        let json = pages.json(&format!("/debug/tracez.json{link}"));
        assert_eq!(
            (&json["count"], &json["samples"][0]["running"]),
            (&json!(1), &json!(true))
        );
        assert_eq!(json["samples"][0]["spans"][0]["end_time"], Value::Null);
        assert!(json["samples"][0]["age_seconds"].as_f64().unwrap() > 0.0);

        service.release();
        assert!(next.await.unwrap().is_some());
        let row = pages
            .row_when("kinds.ServerStream/Call", "server", |row| row["running"] == 0)
            .await;
        assert_eq!((succeeded(&row), &row["failures"]), (1, &json!({})));
        assert_eq!(pages.json(&format!("/debug/tracez.json{link}"))["samples"], json!([]));
    });
}

#[test]
fn failures_are_counted_by_code_and_latencies_without_them() {
    in_own_process_async(async {
        let pages = Pages::start();
        let server = server(&ScriptedService::default()).await;
        let mut client = UnaryClient::new(server.channel().await);
        for text in ["0", "hello", "5", "13", "5", "panic", "16"] {
            let _ = client.call(integration_tests::kinds::Message::from(text)).await;
        }
        let failures = json!({ "NOT_FOUND": 2, "INTERNAL": 1, "UNKNOWN": 1, "UNAUTHENTICATED": 1 });
        let row = pages
            .row_when("kinds.Unary/Call", "server", |row| row["failures"] == failures)
            .await;
        assert_eq!((succeeded(&row), &row["running"]), (2, &json!(0)));
        let above: Vec<&Value> = row["latencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|l| &l["above_us"])
            .collect();
        assert_eq!(
            json!(above),
            json!([0, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000])
        );
        let cells = texts(&pages.html("/debug/tracez"), "tbody td.f");
        assert_eq!(cells, ["NOT_FOUND 2 · INTERNAL 1 · UNKNOWN 1 · UNAUTHENTICATED 1"]);
        let id = &row["row"];
        let panicked = pages.json(&format!("/debug/tracez.json?row={id}&show=failure-UNKNOWN"));
        assert_eq!(panicked["count"], 1);
        let span = &panicked["samples"][0]["spans"][0];
        assert_eq!(
            (&span["attributes"]["error.type"], &span["status"]["description"]),
            (&json!("panic"), &json!("as asked"))
        );
        for absent in [
            "row=99&show=running",
            "row=0&show=failure-OK",
            "row=0&show=latency-9",
            "row=0&show=",
        ] {
            let (head, _) = http::get(pages.address, &format!("/debug/tracez?{absent}"));
            assert!(head.starts_with("HTTP/1.0 404 "), "{absent}: {head}");
        }
    });
}

#[test]
fn a_sample_has_the_spans_log_lines_attributes_and_events_inside() {
    in_own_process_async(async {
        let pages = Pages::start();
        let server = server(&ScriptedService::default()).await;
        let mut client = GreeterClient::new(server.channel().await);
        client.say_hello(HelloRequest { name: "Ada".into() }).await.unwrap();
        client
            .say_hello(HelloRequest { name: String::new() })
            .await
            .unwrap_err();
        let name = "helloworld.Greeter/SayHello";
        let row = pages
            .row_when(name, "server", |row| row["failures"]["INTERNAL"] == 1)
            .await;
        let link = format!("?row={}&show=failure-INTERNAL", row["row"]);
        let sample = pages.html(&format!("/debug/tracez{link}"));
        assert_eq!(texts(&sample, "h1"), [format!("{name} (server), failed with INTERNAL")]);
        assert_eq!(texts(&sample, "p.f"), ["nobody"]);
        let tables: Vec<String> = texts(&sample, "caption");
        let captions = [
            "The trace in this process",
            "Log lines of the trace, the oldest first",
            "Attributes",
            "Attributes of the event",
        ];
        assert_eq!(tables, captions);
        assert_eq!(texts(&sample, "th.n"), [name.to_owned(), "└─ look up".to_owned()]);
        assert_eq!(texts(&sample, "th.n strong"), [name]);
        assert_eq!(
            texts(&sample, "div[aria-label='Log lines'] td:nth-child(2)"),
            ["INFO", "WARN"]
        );
        assert_eq!(
            texts(&sample, "div[aria-label='Log lines'] td:nth-child(4)"),
            ["greeting name=", "there is no name"]
        );
        let json = pages.json(&format!("/debug/tracez.json{link}"));
        let spans = json["samples"][0]["spans"].as_array().unwrap();
        assert_eq!(
            spans.iter().map(|span| &span["name"]).collect::<Vec<_>>(),
            [name, "look up"]
        );
        assert_eq!(spans[0]["events"][0]["name"], "asked");
        assert_eq!(spans[0]["attributes"]["rpc.status_code"], "INTERNAL");
        let lines: Vec<&Value> = json["samples"][0]["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|log| &log["text"])
            .collect();
        assert_eq!(lines, ["greeting name=", "there is no name"]);
        // The span inside has a row and a sample of its own, without the log lines of the RPC.
        let row = pages.row("look up", "internal");
        assert_eq!((succeeded(&row), &row["is_rpc"]), (2, &json!(false)));
        let bucket = row["latencies"]
            .as_array()
            .unwrap()
            .iter()
            .position(|l| l["count"] != 0)
            .unwrap();
        let inner = pages.json(&format!("/debug/tracez.json?row={}&show=latency-{bucket}", row["row"]));
        assert_eq!(inner["samples"][0]["logs"], json!([]));
    });
}

#[test]
fn rpcs_come_first_and_the_filter_selects_names() {
    in_own_process_async(async {
        let pages = Pages::start();
        let server = server(&ScriptedService::default()).await;
        global::tracer("app").start("a job").end();
        let mut client = UnaryClient::new(server.channel().await);
        client
            .call(integration_tests::kinds::Message::from("span"))
            .await
            .unwrap();
        pages
            .row_when("kinds.Unary/Call", "server", |row| succeeded(row) == 1)
            .await;
        let names = |path| texts(&pages.html(path), "tbody th");
        assert_eq!(names("/debug/tracez"), ["kinds.Unary/Call", "a job", "child"]);
        assert_eq!(names("/debug/tracez?filter=j"), ["a job"]);
        assert_eq!(names("/debug/tracez?filter=UNARY"), ["kinds.Unary/Call"]);
        assert_eq!(names("/debug/tracez?from=300"), ["kinds.Unary/Call", "a job", "child"]);
        let none = texts(&pages.html("/debug/tracez?filter=%3Cb%3E"), "main p");
        assert_eq!(none[0], "No span has been recorded yet with such a name.");
    });
}

#[test]
fn samples_of_a_busy_name_leave_those_of_a_rare_one() {
    in_own_process_async(async {
        let pages = Pages::with(|setup| setup.zpages_memory_limit(100_000));
        let tracer = global::tracer("app");
        tracer.start("rare").end();
        for number in 0..2000 {
            let name = format!("busy {}", number % 20);
            let mut span = tracer.start(name);
            span.set_attribute(KeyValue::new("text", "a".repeat(2000)));
            span.end();
        }
        let kept = |name: &str| {
            let row = pages.row(name, "internal");
            let count = |(bucket, latency): (usize, &Value)| {
                if latency["count"] == 0 {
                    return 0;
                }
                let path = format!("/debug/tracez.json?row={}&show=latency-{bucket}", row["row"]);
                pages.json(&path)["samples"].as_array().unwrap().len()
            };
            row["latencies"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(count)
                .sum::<usize>()
        };
        assert_eq!(kept("rare"), 1);
        let busy: Vec<usize> = (0..20).map(|number| kept(&format!("busy {number}"))).collect();
        let total: usize = busy.iter().sum();
        // 15,000 bytes are for samples.
        assert!((4..=7).contains(&total), "{busy:?}");
        assert_eq!(succeeded(&pages.row("busy 0", "internal")), 100);
    });
}

#[test]
fn names_longer_than_a_row_keeps_have_a_row_of_their_own() {
    in_own_process(|| {
        let pages = Pages::start();
        let tracer = global::tracer("app");
        let (name, kept) = ("é".repeat(150), "é".repeat(128));
        let open = [(); 2].map(|()| tracer.start(name.clone()));
        assert_eq!(pages.row(&kept, "internal")["running"], 2);
        drop(open);
        let row = pages.row(&kept, "internal");
        assert_eq!((&row["running"], succeeded(&row)), (&json!(0), 2));
        assert_eq!(pages.json("/debug/tracez.json")["total"], 1);
    });
}

#[test]
fn a_page_tells_its_process_its_row_and_what_it_leaves_out() {
    in_own_process(|| {
        let pages = Pages::with(|setup| setup.service_name("shop <1>"));
        let tracer = global::tracer("app");
        for code in ["failure-x", "y"] {
            let mut span = tracer.start("job");
            for number in 0..40 {
                span.set_attribute(KeyValue::new(format!("key {number}"), "value ".repeat(50)));
                span.add_event(format!("event {number}"), vec![]);
            }
            span.set_attribute(KeyValue::new("error.type", code));
            span.set_status(SpanStatus::error(""));
            let linked = SpanContext::new(
                TraceId::from(7),
                SpanId::from(8),
                TraceFlags::SAMPLED,
                true,
                TraceState::NONE,
            );
            span.add_link(linked, vec![]);
            span.end();
        }
        let row = pages.row("job", "internal");
        let page = pages.html(&format!("/debug/tracez?row={}&show=failure-failure-x", row["row"]));
        assert_eq!(texts(&page, "h1"), ["job (internal), failed with failure-x"]);
        assert_eq!(
            texts(&page, "title"),
            ["job (internal), failed with failure-x · shop <1>"]
        );
        let about = format!("shop <1>, process {}, up ", std::process::id());
        assert!(texts(&page, "p")[0].starts_with(&about), "{:?}", texts(&page, "p"));
        assert_eq!(texts(&page, "p.o a"), ["failure-x 1", "y 1"]);
        assert_eq!(texts(&page, "p.o a[aria-current]"), ["failure-x 1"]);
        let values = texts(&page, ".a td");
        assert_eq!((values.len(), &*values[15]), (16, "failure-x"));
        assert_eq!(values[0], format!("{}valu…", "value ".repeat(42)));
        let headings = texts(&page, "h3");
        assert_eq!(headings[0], "Event event 32");
        assert_eq!(headings[7..], ["Event event 39", "Link to another trace"]);
        let left_out = texts(&page, "article > p.d");
        for expected in [
            "25 more attributes are not kept.",
            "32 more events are not kept.",
            "Trace 00000000000000000000000000000007, span 0000000000000008",
        ] {
            assert!(left_out.iter().any(|text| text == expected), "{left_out:?}");
        }
    });
}

#[test]
fn an_exporter_gets_the_same_spans_with_the_pages() {
    in_own_process_async(async {
        let pages = Pages::with(|setup| setup.trace_exporters([Exporter::Console]).console_json());
        global::tracer("app").start("job").end();
        assert_eq!(succeeded(&pages.row("job", "internal")), 1);
        pages.telemetry.shutdown(TIMEOUT).await.unwrap();
        // The server ends with the telemetry, on a thread of its own, which closes what it has
        // accepted.
        let refuses = async {
            while let Ok(mut accepted) = TcpStream::connect(pages.address).await {
                let _ = accepted.read(&mut [0]).await;
            }
        };
        tokio::time::timeout(TIMEOUT, refuses).await.unwrap();
    })
    .inspect(|output| assert_eq!(output.stdout.matches("{\"name\":\"job\"").count(), 1, "{output:?}"));
}
