//! A process that serves an OTLP collector does not record its own exports to it.
//!
//! Each recorded export would have to be exported in turn.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use integration_tests::coverage::Coverage;
use integration_tests::server::{RunningServer, serve, serve_with};
use integration_tests::telemetry::{Shared, Telemetry};
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use otel_runtime::{Instrumentation, ServerLayer, traced_service};
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

const EXPORT: &str = "opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The names of the spans that the collector received, and their senders.
#[derive(Clone)]
struct Collected {
    tracers: SdkTracerProvider,
    spans: Shared<Vec<String>>,
    agents: Shared<Vec<String>>,
}

impl Collected {
    fn take(&self, request: Request<ExportTraceServiceRequest>) -> Response<ExportTraceServiceResponse> {
        let agent = request.metadata().get("user-agent").unwrap();
        self.agents.lock().unwrap().push(agent.to_str().unwrap().to_owned());
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.spans.lock().unwrap().extend(spans.map(|span| span.name));
        // The collector creates a span, too, which must not start a loop.
        self.tracers.tracer("collector").start("stored").end();
        Response::new(ExportTraceServiceResponse::default())
    }
}

struct Plain(Collected);

#[tonic::async_trait]
impl TraceService for Plain {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(self.0.take(request))
    }
}

struct Annotated(Collected, Instrumentation);

#[traced_service(instrumentation = self.1)]
#[tonic::async_trait]
impl TraceService for Annotated {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        Ok(self.0.take(request))
    }
}

/// An OTLP exporter whose endpoint is set later.
#[derive(Clone, Debug, Default)]
struct Late(Arc<OnceLock<opentelemetry_otlp::SpanExporter>>);

impl SpanExporter for Late {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.get().expect("the server runs").export(batch).await
    }
}

/// An instrumented server with a collector, and an exporter to it.
struct Process {
    collected: Collected,
    tracers: SdkTracerProvider,
    server: RunningServer,
}

impl Process {
    async fn start(coverage: Coverage) -> Self {
        let exporter = Late::default();
        let tracers = SdkTracerProvider::builder()
            .with_batch_exporter(exporter.clone())
            .build();
        let collected = Collected {
            tracers: tracers.clone(),
            spans: Shared::default(),
            agents: Shared::default(),
        };
        // Without a meter provider, metrics go to the global one, where the test reads them.
        let instrumentation = Instrumentation::builder().tracer_provider(&tracers).build();

        let layer = ServerLayer::new()
            .known_methods([EXPORT])
            .instrumentation(instrumentation.clone());
        let annotated = Routes::new(TraceServiceServer::new(Annotated(collected.clone(), instrumentation)));
        let plain = Routes::new(TraceServiceServer::new(Plain(collected.clone())));
        let server = match coverage {
            Coverage::Attribute => serve(annotated).await,
            Coverage::Layer => serve_with(Server::builder().layer(layer), plain).await,
            Coverage::Both => serve_with(Server::builder().layer(layer), annotated).await,
        };
        let to_itself = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", server.address))
            .with_timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        exporter.0.set(to_itself).unwrap();
        Process {
            collected,
            tracers,
            server,
        }
    }

    /// Exports all spans, and then the spans that the export created.
    async fn export(&self) {
        for _ in 0..3 {
            let tracers = self.tracers.clone();
            // The flush blocks, but the server runs on this runtime.
            let flushed = tokio::task::spawn_blocking(move || tracers.force_flush()).await;
            flushed.unwrap().unwrap();
        }
    }

    /// Returns the names of the spans received since the last call, in alphabetical order:
    /// opentelemetry-proto 0.33.0 exports scopes in any.
    fn collected(&self) -> Vec<String> {
        let mut spans = std::mem::take(&mut *self.collected.spans.lock().unwrap());
        spans.sort();
        spans
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_exports_are_not_recorded() {
    for coverage in Coverage::ALL {
        println!("{coverage:?}");
        let telemetry = Telemetry::start();
        let process = Process::start(coverage).await;
        process.tracers.tracer("app").start("work").end();
        process.export().await;

        assert_eq!(process.collected(), ["work"]);
        let agents = std::mem::take(&mut *process.collected.agents.lock().unwrap());
        let [agent] = &agents[..] else {
            panic!("expected one export: {agents:?}")
        };
        assert!(agent.starts_with("OTel-OTLP-Exporter-Rust/"), "{agent}");
        telemetry.durations(0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_of_an_ordinary_client_are_recorded() {
    for coverage in Coverage::ALL {
        println!("{coverage:?}");
        let telemetry = Telemetry::start();
        let process = Process::start(coverage).await;
        let mut client = TraceServiceClient::new(process.server.channel().await);
        client.export(ExportTraceServiceRequest::default()).await.unwrap();
        process.export().await;

        assert_eq!(process.collected(), [EXPORT, "stored"]);
        assert_eq!(telemetry.durations(1).await[0]["rpc.method"], EXPORT);
    }
}

/// A client at another address of 127.0.0.0/8 is treated as another host.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_from_another_host_are_recorded() {
    for coverage in Coverage::ALL {
        println!("{coverage:?}");
        let telemetry = Telemetry::start();
        let process = Process::start(coverage).await;
        let endpoint = Endpoint::from_shared(format!("http://{}", process.server.address)).unwrap();
        let endpoint = endpoint.user_agent("OTel-OTLP-Exporter-Rust/0.33.1").unwrap();
        let here = endpoint.connect().await.unwrap();
        let elsewhere = endpoint.local_address(Some("127.0.0.2".parse().unwrap()));
        let elsewhere = elsewhere.connect().await.unwrap();

        let request = ExportTraceServiceRequest::default();
        TraceServiceClient::new(here).export(request.clone()).await.unwrap();
        process.export().await;
        assert_eq!(process.collected(), [""; 0]);
        TraceServiceClient::new(elsewhere).export(request).await.unwrap();
        process.export().await;
        assert_eq!(process.collected(), [EXPORT, "stored"]);
        telemetry.durations(1).await;
    }
}
