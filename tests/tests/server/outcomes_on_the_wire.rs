//! Each outcome of each kind of RPC is recorded alike by the attribute, the layer, and both.

use std::pin::pin;
use std::time::Duration;

use integration_tests::clock::{StoppedClock, let_pass};
use integration_tests::coverage::{Coverage, RPCS, STREAMING};
use integration_tests::kinds::Message;
use integration_tests::rpc::{call, call_to_end, request};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::RunningServer;
use integration_tests::telemetry::{Attributes, Log, Telemetry, attributes, expected};
use opentelemetry::trace::{SpanId, SpanKind, Status as SpanStatus, TraceId};
use opentelemetry_sdk::trace::SpanData;
use tonic::{Code, Request};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// The outcome of an RPC, and the stage at which it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Success,
    /// Fails with a trailers-only response.
    FailedInHeaders,
    /// Fails after a message.
    FailedInTrailers,
    /// The caller cancels before the response.
    CancelledEarly,
    DroppedMidStream,
    DeadlineEarly,
    DeadlineMidStream,
    Panicked,
    PanickedInStream,
}

impl End {
    const OF_EACH: [End; 5] = [
        End::Success,
        End::FailedInHeaders,
        End::CancelledEarly,
        End::DeadlineEarly,
        End::Panicked,
    ];
    const OF_STREAMS: [End; 4] = [
        End::FailedInTrailers,
        End::DroppedMidStream,
        End::DeadlineMidStream,
        End::PanickedInStream,
    ];

    /// Returns the script for the handler.
    fn text(self) -> &'static str {
        match self {
            End::Success => "",
            End::FailedInHeaders => "13",
            End::FailedInTrailers => "later 13",
            End::CancelledEarly | End::DeadlineEarly => "wait",
            End::DroppedMidStream | End::DeadlineMidStream => "later wait",
            End::Panicked => "panic",
            End::PanickedInStream => "later panic",
        }
    }

    /// Returns the expected `rpc.status_code`, `error.type` and description of the span status.
    fn recorded(self) -> (&'static str, Option<(&'static str, &'static str)>) {
        match self {
            End::Success => ("OK", None),
            End::FailedInHeaders | End::FailedInTrailers => ("INTERNAL", Some(("INTERNAL", "as asked: 13"))),
            End::CancelledEarly | End::DroppedMidStream => ("CANCELLED", None),
            End::DeadlineEarly | End::DeadlineMidStream => ("DEADLINE_EXCEEDED", Some(("DEADLINE_EXCEEDED", ""))),
            End::Panicked | End::PanickedInStream => ("UNKNOWN", Some(("panic", "as asked"))),
        }
    }

    fn has_deadline(self) -> bool {
        matches!(self, End::DeadlineEarly | End::DeadlineMidStream)
    }

    fn is_panic(self) -> bool {
        matches!(self, End::Panicked | End::PanickedInStream)
    }

    /// Makes the RPC, and ends it in this way.
    async fn reach(self, handler: &ScriptedService, server: &RunningServer, rpc: &str, request: Request<Message>) {
        let channel = server.channel().await;
        match self {
            End::CancelledEarly => tokio::select! {
                reply = call(channel, rpc, request) => panic!("it does not reply: {reply:?}"),
                () = handler.waits() => {}
            },
            End::DroppedMidStream | End::DeadlineMidStream => {
                let mut replies = call(channel, rpc, request).await.unwrap().into_inner();
                assert_eq!(replies.message().await.unwrap().unwrap().text, "first");
                handler.waits().await;
                if self.has_deadline() {
                    // tonic's client does not enforce deadlines on response streams. A client that
                    // does, such as grpcio, resets the stream at its deadline.
                    let_pass(DEADLINE).await;
                }
                drop(replies);
            }
            End::DeadlineEarly => {
                let clock = StoppedClock::stop();
                let mut call = pin!(call_to_end(channel, rpc, request));
                clock.until(&mut call, handler.waits()).await;
                let (messages, status) = clock.end(call).await;
                assert_eq!((messages, status.code()), (0, Code::Cancelled));
            }
            _ => {
                let (messages, status) = call_to_end(channel, rpc, request).await;
                assert_eq!(status.code() == Code::Ok, self == End::Success);
                // A panic resets the stream, and may lose messages in flight.
                if !self.is_panic() {
                    let has_message = matches!(self, End::Success | End::FailedInTrailers);
                    assert_eq!(messages, usize::from(has_message));
                }
            }
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(60 * 60);

/// The caller's `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Untraced,
    Sampled,
    Unsampled,
}

impl Caller {
    const ALL: [Caller; 3] = [Caller::Untraced, Caller::Sampled, Caller::Unsampled];

    fn traceparent(self) -> Option<String> {
        let flags = match self {
            Caller::Untraced => return None,
            Caller::Sampled => "01",
            Caller::Unsampled => "00",
        };
        Some(format!("00-{TRACE}-{PARENT}-{flags}"))
    }
}

async fn assert_each_end_is_recorded(coverage: Coverage, rpcs: &[&str], ends: &[End]) {
    for rpc in rpcs {
        for end in ends {
            for caller in Caller::ALL {
                println!("{coverage:?}, {rpc}, {end:?}, {caller:?}");
                assert_is_recorded(coverage, rpc, *end, caller).await;
            }
        }
    }
}

async fn assert_is_recorded(coverage: Coverage, rpc: &str, end: End, caller: Caller) {
    let telemetry = Telemetry::start();
    let handler = ScriptedService::default();
    let server = coverage.serve(&handler).await;
    let mut request = request(end.text());
    if let Some(traceparent) = caller.traceparent() {
        request
            .metadata_mut()
            .insert("traceparent", traceparent.parse().unwrap());
    }
    if end.has_deadline() {
        request.set_timeout(DEADLINE);
    }
    end.reach(&handler, &server, rpc, request).await;

    // Metrics do not depend on sampling.
    let (code, error) = end.recorded();
    let mut point = expected([
        ("rpc.system.name", "grpc"),
        ("rpc.method", rpc),
        ("rpc.status_code", code),
    ]);
    point.extend(error.map(|(error, _)| ("error.type".to_owned(), error.to_owned())));
    assert_eq!(telemetry.durations(1).await, [point.clone()]);

    let span = if caller == Caller::Unsampled {
        telemetry.spans(0).await;
        None
    } else {
        let span = telemetry.span().await;
        assert_is_the_span(&span, rpc, end, caller);
        assert_eq!(attributes_of(&span, &server), point);
        Some(span)
    };

    let logs = telemetry.logs();
    if !end.is_panic() {
        assert_eq!(logs, []);
        return;
    }
    let [log] = &logs[..] else {
        panic!("expected one log record: {logs:?}")
    };
    let exception = Log {
        event_name: Some("rpc.server.call.exception"),
        severity: Some("ERROR"),
        body: None,
        attributes: expected([("exception.type", "panic"), ("exception.message", "as asked")]),
        trace: log.trace,
    };
    assert_eq!(*log, exception);
    if let Some(span) = span {
        assert_eq!(
            log.trace,
            Some((span.span_context.trace_id(), span.span_context.span_id()))
        );
    }
}

fn assert_is_the_span(span: &SpanData, rpc: &str, end: End, caller: Caller) {
    assert_eq!(span.name, *rpc);
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.events.len(), 0);
    assert_eq!(span.links.len(), 0);
    assert_eq!(
        span.status,
        match end.recorded().1 {
            Some((_, description)) => SpanStatus::error(description),
            None => SpanStatus::Unset,
        }
    );
    let trace = TraceId::from_hex(TRACE).unwrap();
    if caller == Caller::Sampled {
        assert_eq!(span.parent_span_id, SpanId::from_hex(PARENT).unwrap());
        assert_eq!(span.span_context.trace_id(), trace);
        assert!(span.parent_span_is_remote);
    } else {
        assert_eq!(span.parent_span_id, SpanId::INVALID);
        assert_ne!(span.span_context.trace_id(), trace);
    }
}

/// Checks and removes the address attributes, and returns the others.
fn attributes_of(span: &SpanData, server: &RunningServer) -> Attributes {
    let mut found = attributes(&span.attributes);
    let mut take = |name: &str| found.remove(name).unwrap_or_default();
    assert_eq!(take("server.address"), "127.0.0.1");
    assert_eq!(take("server.port"), server.address.port().to_string());
    assert_eq!(take("network.peer.address"), "127.0.0.1");
    let peer: u16 = take("network.peer.port").parse().unwrap();
    assert!(peer != 0 && peer != server.address.port());
    found
}

mod each_kind_of_rpc {
    use super::*;

    #[tokio::test]
    async fn with_the_attribute() {
        assert_each_end_is_recorded(Coverage::Attribute, &RPCS, &End::OF_EACH).await;
    }

    #[tokio::test]
    async fn with_the_layer() {
        assert_each_end_is_recorded(Coverage::Layer, &RPCS, &End::OF_EACH).await;
    }

    #[tokio::test]
    async fn with_both() {
        assert_each_end_is_recorded(Coverage::Both, &RPCS, &End::OF_EACH).await;
    }
}

mod response_streams {
    use super::*;

    #[tokio::test]
    async fn with_the_attribute() {
        assert_each_end_is_recorded(Coverage::Attribute, &STREAMING, &End::OF_STREAMS).await;
    }

    #[tokio::test]
    async fn with_the_layer() {
        assert_each_end_is_recorded(Coverage::Layer, &STREAMING, &End::OF_STREAMS).await;
    }

    #[tokio::test]
    async fn with_both() {
        assert_each_end_is_recorded(Coverage::Both, &STREAMING, &End::OF_STREAMS).await;
    }
}
