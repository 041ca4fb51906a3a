//! opentelemetry-proto: an OTLP collector, four services whose one method has the same name.

use std::sync::{Arc, Mutex};

use foreign_services::{assert_each_is_one_rpc, assert_measured_once};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use opentelemetry::trace::{SpanKind, Status as SpanStatus};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{self, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::profiles::v1development::profiles_service_server::{
    ProfilesService, ProfilesServiceServer,
};
use opentelemetry_proto::tonic::collector::profiles::v1development::{
    ExportProfilesServiceRequest, ExportProfilesServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

/// Keeps the names of the spans that it is sent.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<String>>>,
}

#[traced_service]
#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        let scopes = resources.into_iter().flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            if span.name.is_empty() {
                return Err(Status::invalid_argument("a span has no name"));
            }
            self.spans.lock().unwrap().push(span.name);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
#[traced_service]
impl metrics_service_server::MetricsService for Collector {
    async fn export(
        &self,
        _: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        Err(Status::unimplemented("only spans"))
    }
}

#[traced_service]
#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        _request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        Ok(Response::new(ExportLogsServiceResponse { partial_success: None }))
    }
}

#[tonic::async_trait]
#[traced_service]
impl ProfilesService for Collector {
    async fn export(
        &self,
        mut request: Request<ExportProfilesServiceRequest>,
    ) -> Result<Response<ExportProfilesServiceResponse>, Status> {
        request.get_mut().resource_profiles.clear();
        Ok(Response::new(ExportProfilesServiceResponse::default()))
    }
}

fn routes(collector: &Collector) -> Routes {
    Routes::default()
        .add_service(TraceServiceServer::new(collector.clone()))
        .add_service(MetricsServiceServer::new(collector.clone()))
        .add_service(LogsServiceServer::new(collector.clone()))
        .add_service(ProfilesServiceServer::new(collector.clone()))
}

fn spans_named(name: &str) -> ExportTraceServiceRequest {
    let span = Span {
        name: name.to_owned(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans {
        spans: vec![span],
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

#[tokio::test]
async fn each_is_one_rpc() {
    assert_each_is_one_rpc(
        routes(&Collector::default()),
        &[
            "opentelemetry.proto.collector.trace.v1.TraceService/Export",
            "opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            "opentelemetry.proto.collector.logs.v1.LogsService/Export",
            "opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
        ],
    )
    .await;
}

#[tokio::test]
async fn traces_arrive_and_make_a_span() {
    let telemetry = Telemetry::start();
    let collector = Collector::default();
    let server = serve(routes(&collector)).await;
    TraceServiceClient::new(server.channel().await)
        .export(spans_named("checkout"))
        .await
        .unwrap();
    assert_eq!(*collector.spans.lock().unwrap(), ["checkout"]);

    let span = telemetry.span().await;
    assert_eq!(span.name, "opentelemetry.proto.collector.trace.v1.TraceService/Export");
    assert_eq!(span.span_kind, SpanKind::Server);
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(&telemetry, &span.name, "OK", false);
}

#[tokio::test]
async fn traces_that_are_refused_are_the_callers_mistake() {
    let telemetry = Telemetry::start();
    let server = serve(routes(&Collector::default())).await;
    let refused = TraceServiceClient::new(server.channel().await)
        .export(spans_named(""))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);

    let span = telemetry.span().await;
    assert_eq!(span.status, SpanStatus::Unset);
    assert_measured_once(
        &telemetry,
        "opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "INVALID_ARGUMENT",
        false,
    );
}

#[tokio::test]
async fn metrics_and_logs_have_names_of_their_own() {
    let telemetry = Telemetry::start();
    let server = serve(routes(&Collector::default())).await;
    let channel = server.channel().await;
    MetricsServiceClient::new(channel.clone())
        .export(ExportMetricsServiceRequest::default())
        .await
        .unwrap_err();
    LogsServiceClient::new(channel)
        .export(ExportLogsServiceRequest::default())
        .await
        .unwrap();

    let spans = telemetry.spans(2).await;
    let ended: Vec<_> = spans
        .iter()
        .map(|span| {
            (
                &*span.name,
                attributes(&span.attributes)["rpc.status_code"].clone(),
                &span.status,
            )
        })
        .collect();
    let not_metrics = SpanStatus::error("only spans");
    assert_eq!(
        ended,
        [
            (
                "opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
                "UNIMPLEMENTED".to_owned(),
                &not_metrics,
            ),
            (
                "opentelemetry.proto.collector.logs.v1.LogsService/Export",
                "OK".to_owned(),
                &SpanStatus::Unset,
            ),
        ]
    );
    let metrics = telemetry.metrics();
    assert_eq!(metrics.duration_count(), 2);
    assert_eq!(metrics.active_request_count(), 0);
}
