// Needs `#[async_trait]`: the trait is a generated one.
#![deny(warnings)]

use std::pin::Pin;

use examples::routeguide::route_guide_server::RouteGuide;
use examples::routeguide::{Feature, Point, Rectangle, RouteNote, RouteSummary};
use otel_runtime::traced_service;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

// Aliases that hide part of a type, or reuse the name of another type.
type Result<T> = std::result::Result<tonic::Response<T>, Status>;
type Response<T> = std::result::Result<tonic::Response<T>, Status>;
type TonicResult<T> = std::result::Result<T, Status>;
type Streaming<T> = tonic::Request<tonic::Streaming<T>>;
type RpcRequest<T> = tonic::Request<T>;
type Boxed<T> = Pin<Box<dyn Stream<Item = TonicResult<T>> + Send>>;
type Summary = Response<RouteSummary>;

struct Above;

#[traced_service]
#[tonic::async_trait]
impl RouteGuide for Above {
    type ListFeaturesStream = Boxed<Feature>;
    type RouteChatStream = Boxed<RouteNote>;

    async fn get_feature(&self, request: RpcRequest<Point>) -> Result<Feature> {
        Ok(tonic::Response::new(Feature { location: Some(request.into_inner()), ..Feature::default() }))
    }

    async fn list_features(&self, request: RpcRequest<Rectangle>) -> Response<Self::ListFeaturesStream> {
        let lo = request.into_inner().lo;
        if lo.is_none() {
            return Ok(tonic::Response::new(Box::pin(tokio_stream::empty())));
        }
        Ok(tonic::Response::new(Box::pin(tokio_stream::once(Ok(Feature { location: lo, ..Feature::default() })))))
    }

    async fn record_route(&self, request: Streaming<Point>) -> Summary {
        let mut points = request.into_inner();
        while points.message().await?.is_some() {}
        Ok(tonic::Response::new(RouteSummary::default()))
    }

    async fn route_chat(&self, request: Streaming<RouteNote>) -> TonicResult<tonic::Response<Boxed<RouteNote>>> {
        Ok(tonic::Response::new(Box::pin(request.into_inner().map(|note| note))))
    }
}

struct Below;

#[tonic::async_trait]
#[traced_service]
impl RouteGuide for Below {
    type ListFeaturesStream = Boxed<Feature>;
    type RouteChatStream = Boxed<RouteNote>;

    async fn get_feature(&self, request: RpcRequest<Point>) -> Result<Feature> {
        Ok(tonic::Response::new(Feature { location: Some(request.into_inner()), ..Feature::default() }))
    }

    async fn list_features(&self, _: RpcRequest<Rectangle>) -> Response<Boxed<Feature>> {
        Ok(tonic::Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn record_route(&self, request: Streaming<Point>) -> Summary {
        let mut points = request.into_inner();
        while points.message().await?.is_some() {}
        Ok(tonic::Response::new(RouteSummary::default()))
    }

    async fn route_chat(&self, request: Streaming<RouteNote>) -> Response<Self::RouteChatStream> {
        Ok(tonic::Response::new(Box::pin(request.into_inner().map(|note| note))))
    }
}
