//! Placeholder.
use examples::helloworld::{
    HelloReply, HelloRequest,
    greeter_server::{Greeter, GreeterServer},
};
use examples::routeguide::{route_guide_server::RouteGuide, *};
use otel_runtime::traced_service;
use std::pin::Pin;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

#[derive(Default)]
struct MyGreeter;

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello, {}!", request.get_ref().name);
        Ok(Response::new(HelloReply { message }))
    }
}
#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyGreeter {
    type ListFeaturesStream = Pin<Box<dyn Stream<Item = Result<Feature, Status>> + Send>>;
    type RouteChatStream = Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>;
    async fn get_feature(&self, _: Request<Point>) -> Result<Response<Feature>, Status> {
        Err(Status::not_found("nothing there"))
    }
    async fn list_features(&self, request: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        if request.get_ref().lo.is_none() {
            return Err(Status::invalid_argument(""));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(vec![
            Ok(Feature::default()),
        ]))))
    }
    async fn record_route(&self, request: Request<Streaming<Point>>) -> Result<Response<RouteSummary>, Status> {
        let mut s = request.into_inner();
        while let Some(_) = s.next().await {}
        Ok(Response::new(RouteSummary::default()))
    }
    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner()) as Self::RouteChatStream))
    }
}

fn main() {
    let _ = GreeterServer::new(MyGreeter);
}
