//! Spans and metrics of a client for each of the 17 status codes: all except OK are errors.

use integration_tests::client::{CODES, Kind, call, client_attributes, connect};
use integration_tests::scripted::ScriptedService;
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::Status as SpanStatus;
use tonic::{Code, Request};

/// Makes RPCs that fail with each code, at once or ` later`, and checks the client's telemetry.
async fn each_code(kind: Kind, later: &str) {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let channel = connect(&server).await;
    for (code, _) in CODES {
        let text = format!("{later}{}", code as i32);
        let result = call(channel.clone(), kind, Request::new(text.as_str())).await;
        assert_eq!(result.map_or_else(|status| status.code(), |_| Code::Ok), code);
    }

    let spans = telemetry.spans(CODES.len()).await;
    let points = telemetry.metrics().client_durations();
    assert_eq!(points.len(), CODES.len());
    for ((code, name), span) in CODES.into_iter().zip(spans) {
        let (error, status) = match code {
            Code::Ok => (None, SpanStatus::Unset),
            _ => (Some(name), SpanStatus::error(format!("as asked: {}", code as i32))),
        };
        let expected = client_attributes(kind.method(), server.address, name, error);
        assert_eq!(attributes(&span.attributes), expected);
        assert_eq!(span.status, status, "{name}");
        let counts: Vec<_> = points.iter().filter(|(point, ..)| *point == expected).collect();
        assert!(matches!(counts[..], [(_, 1, _)]), "{name}: {counts:?}");
    }
}

#[tokio::test]
async fn status_before_the_response() {
    each_code(Kind::Unary, "").await;
}

#[tokio::test]
async fn status_at_the_end_of_a_stream() {
    each_code(Kind::ServerStream, "later ").await;
}
