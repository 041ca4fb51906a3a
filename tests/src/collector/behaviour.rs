//! The behaviour of a receiver, which tests change, and its answers.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The words of a receiver that forbids.
pub const FORBIDDEN: &str = "no such tenant";

/// The behaviour of the receiver on an export request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Stores the message, and answers with success.
    Accept,
    /// Never answers, and stores nothing.
    Hang,
    /// Stores the message, and answers with success: after a delay, unless the message is empty.
    Slow(Duration),
    /// Fails with `UNAVAILABLE`, or 503, which exporters may retry.
    Unavailable,
    /// Fails with `INVALID_ARGUMENT`, or 400, which exporters must not retry.
    Refuse,
    /// Stores the message, and answers that this number of items was rejected.
    PartialSuccess(i64),
    /// Fails with `UNAVAILABLE`, or 503, and asks to be left alone for this time.
    Throttle(Duration),
    /// Fails with `PERMISSION_DENIED`, or 403, and says why.
    Forbid,
    /// Answers HTTP requests with success and a web page, and fails with `UNAUTHENTICATED`.
    WebPage,
}

impl Behaviour {
    /// Returns the status of a failure.
    pub(super) fn status(&self) -> Status {
        match self {
            Behaviour::Throttle(delay) => {
                let details = ErrorDetails::with_retry_info(Some(*delay));
                Status::with_error_details(Code::Unavailable, "of the test", details)
            }
            Behaviour::Forbid => Status::with_error_details(Code::PermissionDenied, FORBIDDEN, ErrorDetails::default()),
            Behaviour::Refuse => Status::invalid_argument("of the test"),
            Behaviour::WebPage => Status::unauthenticated("of the test"),
            _ => Status::unavailable("of the test"),
        }
    }

    /// Returns the HTTP response of a failure.
    pub(super) fn http_response(&self) -> Response {
        match self {
            Behaviour::Throttle(delay) => {
                let seconds = delay.as_secs().to_string();
                (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", seconds)]).into_response()
            }
            Behaviour::Forbid => {
                let body = self.status().details().to_vec();
                (
                    StatusCode::FORBIDDEN,
                    [("content-type", "application/x-protobuf")],
                    body,
                )
                    .into_response()
            }
            Behaviour::Refuse => StatusCode::BAD_REQUEST.into_response(),
            Behaviour::WebPage => {
                let style = " ".repeat(200 << 10);
                Html(format!("<html><h1>Sign in</h1><style {style}></html>")).into_response()
            }
            _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }
}

const REJECTION: &str = "too many";

pub(super) fn traces_response(rejected: i64) -> ExportTraceServiceResponse {
    let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: rejected,
        error_message: REJECTION.to_owned(),
    });
    ExportTraceServiceResponse { partial_success }
}

pub(super) fn metrics_response(rejected: i64) -> ExportMetricsServiceResponse {
    let partial_success = (rejected > 0).then(|| ExportMetricsPartialSuccess {
        rejected_data_points: rejected,
        error_message: REJECTION.to_owned(),
    });
    ExportMetricsServiceResponse { partial_success }
}

pub(super) fn logs_response(rejected: i64) -> ExportLogsServiceResponse {
    let partial_success = (rejected > 0).then(|| ExportLogsPartialSuccess {
        rejected_log_records: rejected,
        error_message: REJECTION.to_owned(),
    });
    ExportLogsServiceResponse { partial_success }
}
