//! A traced gRPC service that calls another one: what comes in at one side goes out at the other.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use otel_runtime::{TracedChannel, traced_service};
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::client::connect;
use crate::kinds::Message;
use crate::kinds::unary_client::UnaryClient;
use crate::kinds::unary_server::{Unary, UnaryServer};
use crate::scripted::ScriptedService;
use crate::server::{RunningServer, serve};
use crate::telemetry::Shared;

/// The entries of a context's baggage, sorted by key: key, value, metadata.
pub type Entries = Vec<(String, String, String)>;

/// Calls the service behind it as often as its message says.
struct Front {
    behind: TracedChannel,
    baggage: Shared<Entries>,
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Front {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        *self.baggage.lock().unwrap() = Context::map_current(entries);
        let count: usize = request.get_ref().text.parse().unwrap();
        for _ in 0..count {
            UnaryClient::new(self.behind.clone())
                .call(Message::from("called"))
                .await?;
        }
        Ok(Response::new(request.into_inner()))
    }
}

/// Returns the baggage of a context.
#[must_use]
pub fn entries(context: &Context) -> Entries {
    let baggage = context.baggage().iter();
    let mut entries: Entries = baggage
        .map(|(key, (value, metadata))| (key.to_string(), value.to_string(), metadata.as_str().to_owned()))
        .collect();
    entries.sort_unstable();
    entries
}

/// Two servers, each on a socket of its own.
#[derive(Debug)]
pub struct Bridge {
    front: RunningServer,
    _behind: RunningServer,
    service: ScriptedService,
    baggage: Shared<Entries>,
}

impl Bridge {
    /// Starts both servers.
    pub async fn start() -> Self {
        let service = ScriptedService::default();
        let behind = serve(service.routes()).await;
        let baggage = Shared::default();
        let front = Front {
            behind: connect(&behind).await,
            baggage: Shared::clone(&baggage),
        };
        Bridge {
            front: serve(Routes::new(UnaryServer::new(front))).await,
            _behind: behind,
            service,
            baggage,
        }
    }

    /// Sends one request with these headers, and returns the metadata of the `count` that follow.
    pub async fn send<N: AsRef<str>, V: AsRef<str>>(&self, headers: &[(N, V)], count: usize) -> Vec<MetadataMap> {
        let mut request = Request::new(Message::from(count.to_string().as_str()));
        for (name, value) in headers {
            let name: tonic::codegen::http::HeaderName = name.as_ref().parse().unwrap();
            let value = tonic::codegen::http::HeaderValue::from_bytes(value.as_ref().as_bytes()).unwrap();
            request.metadata_mut().as_mut().append(name, value);
        }
        let channel = self.front.channel().await;
        UnaryClient::new(channel).call(request).await.unwrap();
        let received = std::mem::take(&mut *self.service.metadata.lock().unwrap());
        assert_eq!(received.len(), count);
        received
    }

    /// Returns the baggage that the handler of the last request had.
    #[must_use]
    pub fn baggage(&self) -> Entries {
        self.baggage.lock().unwrap().clone()
    }
}

/// Returns all lines of a header.
#[must_use]
pub fn lines(metadata: &MetadataMap, name: &str) -> Vec<String> {
    let lines = metadata.get_all(name).iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}
