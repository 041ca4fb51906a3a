//! An untrusted caller, and what its RPC affects.

use std::sync::{Arc, Mutex};

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::rpc::request;
use integration_tests::scripted::ScriptedService;
use integration_tests::server::{serve, serve_with};
use integration_tests::telemetry::Shared;
use opentelemetry::Context;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use otel_runtime::{Instrumentation, ServerLayer, TracedChannel, traced_service};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const PARENT: &str = "00f067aa0ba902b7";
pub(crate) const RPC: &str = "kinds.Unary/Call";

pub(crate) fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

pub(crate) fn hostile(metadata: &[(&'static str, &str)]) -> Request<Message> {
    let mut request = request("");
    for (name, value) in metadata {
        request.metadata_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// A service that calls the next one.
pub(crate) struct Front {
    pub(crate) seen: Shared<Option<Context>>,
    pub(crate) behind: Option<UnaryClient<TracedChannel>>,
    pub(crate) instrumentation: Instrumentation,
}

macro_rules! front {
    ($name:ident $(, $public:ident)?) => {
        pub(crate) struct $name(pub(crate) Front);

        #[traced_service($($public,)? request_headers("x-tenant"), instrumentation = self.0.instrumentation)]
        #[tonic::async_trait]
        impl Unary for $name {
            async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
                *self.0.seen.lock().unwrap() = Some(Context::current());
                if let Some(mut behind) = self.0.behind.clone() {
                    behind.call(Message::from("")).await?;
                }
                Ok(Response::new(request.into_inner()))
            }
        }
    };
}

front!(Private);
front!(Public, public_endpoint);

/// The place of the option `public_endpoint`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PublicEndpoint {
    Nowhere,
    OnAttribute,
    OnLayer,
}

pub(crate) const UNTRUSTED: [PublicEndpoint; 2] = [PublicEndpoint::OnAttribute, PublicEndpoint::OnLayer];

/// The observable effects of an RPC.
pub(crate) struct Outcome {
    pub(crate) spans: Vec<SpanData>,
    /// The context of the handler.
    pub(crate) seen: Context,
    /// The headers that the next service receives.
    pub(crate) forwarded: MetadataMap,
}

/// Makes an RPC. The sampler records only RPCs of sampled callers, much as in production.
pub(crate) async fn call(
    public_endpoint: PublicEndpoint,
    propagator: Option<TraceContextPropagator>,
    request: Request<Message>,
) -> Outcome {
    let spans = InMemorySpanExporter::default();
    let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    let tracers = SdkTracerProvider::builder()
        .with_sampler(sampler)
        .with_simple_exporter(spans.clone())
        .build();
    let mut instrumentation = Instrumentation::builder().tracer_provider(&tracers);
    if let Some(propagator) = propagator {
        instrumentation = instrumentation.propagator(propagator);
    }
    let instrumentation = instrumentation.build();
    let backend = ScriptedService::default();
    let behind = serve(backend.routes()).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", behind.address)).unwrap();
    let seen = Arc::new(Mutex::new(None));
    let front = Front {
        seen: Arc::clone(&seen),
        behind: Some(UnaryClient::new(TracedChannel::connect_lazy(&endpoint))),
        instrumentation: instrumentation.clone(),
    };
    let routes = match public_endpoint {
        PublicEndpoint::OnAttribute => Routes::new(UnaryServer::new(Public(front))),
        PublicEndpoint::Nowhere | PublicEndpoint::OnLayer => Routes::new(UnaryServer::new(Private(front))),
    };
    let server = match public_endpoint {
        PublicEndpoint::OnLayer => {
            let layer = ServerLayer::new().public_endpoint().instrumentation(instrumentation);
            serve_with(Server::builder().layer(layer), routes).await
        }
        PublicEndpoint::Nowhere | PublicEndpoint::OnAttribute => serve(routes).await,
    };
    UnaryClient::new(server.channel().await).call(request).await.unwrap();
    let seen = seen.lock().unwrap().take().unwrap();
    Outcome {
        spans: spans.get_finished_spans().unwrap(),
        seen,
        forwarded: backend.only_metadata(),
    }
}
