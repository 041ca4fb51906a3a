//! tonic-reflection: two versions of one service, whose traits have the same name.

use foreign_services::{Boxed, assert_each_is_one_rpc};
use otel_runtime::traced_service;
use tokio_stream::StreamExt as _;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_server::{ServerReflection, ServerReflectionServer};
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;

/// Returns a response with the request in it, and nothing else.
fn reply(request: ServerReflectionRequest) -> ServerReflectionResponse {
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        message_response: None,
    }
}

struct Reflection;

type Replies<T> = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send + 'static>>;

#[traced_service]
#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream = Replies<ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let replies = request.into_inner().map(|request| request.map(reply));
        Ok(Response::new(Box::pin(replies) as Self::ServerReflectionInfoStream))
    }
}

#[tonic::async_trait]
#[traced_service]
impl v1alpha::server_reflection_server::ServerReflection for Reflection {
    type ServerReflectionInfoStream = Boxed<v1alpha::ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<v1alpha::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let mut requests = request.into_inner();
        let first = requests.message().await?;
        if first.is_none_or(|first| first.host.is_empty()) {
            return Err(Status::not_found("no host"));
        }
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }
}

#[tokio::test]
async fn each_is_one_rpc() {
    let routes = Routes::default()
        .add_service(ServerReflectionServer::new(Reflection))
        .add_service(v1alpha::server_reflection_server::ServerReflectionServer::new(
            Reflection,
        ));
    assert_each_is_one_rpc(
        routes,
        &[
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ],
    )
    .await;
}
