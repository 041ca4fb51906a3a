//! Whatever fills the memory of the zPages, a rare span, line or method has its place.

use std::time::Duration;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::own_process::{in_own_process, in_own_process_async};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{TIMEOUT, serve_with};
use opentelemetry::trace::{
    Span, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue, global};
use otel_runtime::ServerLayer;
use serde_json::{Value, json};
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::Server;
use tonic_prost::ProstCodec;

use crate::zpages::{Pages, texts};
use crate::zpages_running::{lines, running};

#[test]
fn many_running_spans_of_one_name_leave_room_for_others() {
    in_own_process(|| {
        let pages = Pages::with(|setup| setup.zpages_memory_limit(200_000));
        let tracer = global::tracer("app");
        let open: Vec<_> = (0..200).map(|_| tracer.start("watch")).collect();
        let _hung = tracer.start("hung");
        assert_eq!(running(&pages, "hung", "internal")["spans"][0]["name"], "hung");
        drop(open);
    });
}

#[test]
fn long_lived_spans_with_much_inside_leave_room_for_others() {
    in_own_process_async(async {
        let pages = Pages::with(|setup| setup.zpages_memory_limit(200_000));
        let tracer = global::tracer("app");
        let inside = |context: &Context| {
            let _attached = context.clone().attach();
            for number in 0..64 {
                tracing::info!(number, "{}", "a line ".repeat(20));
                tracer.start("step").end();
            }
        };
        let open: Vec<Context> = (0..20)
            .map(|_| Context::current_with_span(tracer.start("chat")))
            .collect();
        open.iter().for_each(inside);
        // The lines and spans of such spans become fewer within a second.
        let becomes_fewer = async {
            loop {
                let row = pages.row("chat", "internal");
                let chats = pages.json(&format!("/debug/tracez.json?row={}&show=running", row["row"]));
                let chats = chats["samples"].as_array().unwrap();
                let has_few = |chat: &&Value| lines(chat).len() < 10;
                if chats.len() == 20 && chats.iter().filter(has_few).count() == 20 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, becomes_fewer).await.unwrap();
        let failing = Context::current_with_span(tracer.start("failing"));
        let attached = failing.clone().attach();
        tracing::error!("why it failed");
        drop(attached);
        assert_eq!(lines(&running(&pages, "failing", "internal")), ["why it failed"]);
        failing.span().set_status(Status::error(""));
        failing.span().end();
        let row = pages.row("failing", "internal");
        let sample = pages.json(&format!("/debug/tracez.json?row={}&show=failure-error", row["row"]));
        assert_eq!(lines(&sample["samples"][0]), ["why it failed"]);
    });
}

#[test]
fn names_that_anyone_invents_leave_room_for_methods() {
    in_own_process_async(async {
        let pages = Pages::with(|setup| setup.zpages_memory_limit(65_536));
        let service = ScriptedService::default();
        let server = serve_with(Server::builder().layer(ServerLayer::new()), service.routes()).await;
        let channel = server.channel().await;
        let mut unknown = Grpc::new(channel.clone());
        for number in 0..200 {
            let path = format!("/evil.Service{number}/Call").parse().unwrap();
            unknown.ready().await.unwrap();
            let codec = ProstCodec::<Message, Message>::default();
            unknown
                .unary(Request::new(Message::from("a")), path, codec)
                .await
                .unwrap_err();
        }
        let tracer = global::tracer("app");
        for number in 0..200 {
            tracer.start(format!("job {number}")).end();
        }
        UnaryClient::new(channel).call(Message::from("a")).await.unwrap();
        pages
            .row_when("kinds.Unary/Call", "server", |row| row["is_rpc"] == true)
            .await;
        assert_eq!(pages.row("grpc", "server")["failures"], json!({ "UNIMPLEMENTED": 200 }));
        let others = pages.row("(all other names)", "internal");
        assert_ne!(others, Value::Null);
        assert_ne!(pages.row("job 0", "internal"), Value::Null);
    });
}

#[test]
fn samples_of_many_names_leave_those_of_failures() {
    in_own_process(|| {
        let pages = Pages::with(|setup| setup.zpages_memory_limit(200_000));
        let tracer = global::tracer("app");
        let mut failing = tracer.start("failing");
        failing.set_attribute(KeyValue::new("text", "a long text ".repeat(200)));
        failing.set_status(Status::error(""));
        failing.end();
        // 30,000 bytes are for samples.
        for number in 0..100 {
            tracer.start(format!("job {number}")).end();
        }
        let row = pages.row("failing", "internal");
        let failures = pages.json(&format!("/debug/tracez.json?row={}&show=failure-error", row["row"]));
        assert_eq!(failures["samples"].as_array().unwrap().len(), 1);
    });
}

/// A caller may put all of its RPCs into one trace.
#[test]
fn many_spans_of_one_trace_leave_a_page_short() {
    in_own_process_async(async {
        let pages = Pages::start();
        let tracer = global::tracer("app");
        let (trace, caller) = (TraceId::from(1), SpanId::from(7));
        let caller = SpanContext::new(trace, caller, TraceFlags::SAMPLED, true, TraceState::NONE);
        let caller = Context::new().with_remote_span_context(caller);
        let start = |_| caller.with_span(tracer.start_with_context("watch", &caller));
        let open: Vec<Context> = (0..100).map(start).collect();
        for watch in &open {
            let _attached = watch.clone().attach();
            tracing::info!("first");
            tracing::info!("second");
        }
        let row = pages.row("watch", "internal");
        let path = format!("/debug/tracez?row={}&show=running", row["row"]);
        let page = pages.html(&path);
        let notes = texts(&page, "article p.d");
        let count = |text: &str| notes.iter().filter(|note| *note == text).count();
        // Each of the 20 has a twentieth of the 320 others that a page shows.
        assert_eq!(texts(&page, "svg").len(), 20 * 17);
        assert_eq!(count("83 more spans of the trace are not shown."), 20);
        assert_eq!(texts(&page, "td.t").len(), 20 * (2 + 16));
        assert_eq!(count("182 earlier lines of other spans are not shown."), 20);
        // A trace of one span that is shown has more of the others.
        let last = caller.with_span(tracer.start_with_context("last", &caller));
        let row = pages.row("last", "internal");
        let page = pages.html(&format!("/debug/tracez?row={}&show=running", row["row"]));
        assert_eq!((texts(&page, "svg").len(), texts(&page, "td.t").len()), (65, 64));
        drop((last, open));
    });
}
