// Needs `#[async_trait]`: the trait is a generated one.
#![deny(warnings)]

use std::pin::Pin;

use examples::routeguide::route_guide_server::RouteGuide;
use examples::routeguide::{Feature, Point, Rectangle, RouteNote, RouteSummary};
use otel_runtime::traced_service;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

struct MyRouteGuide;

#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type ListFeaturesStream = tokio_stream::Iter<std::vec::IntoIter<Result<Feature, Status>>>;
    type RouteChatStream = Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>;

    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        Ok(Response::new(Feature { location: Some(request.into_inner()), ..Feature::default() }))
    }

    async fn list_features(&self, request: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        let Rectangle { lo, hi } = request.into_inner();
        let features = vec![
            Ok(Feature { location: lo, ..Feature::default() }),
            Ok(Feature { location: hi, ..Feature::default() }),
        ];
        Ok(Response::new(tokio_stream::iter(features)))
    }

    async fn record_route(&self, request: Request<Streaming<Point>>) -> Result<Response<RouteSummary>, Status> {
        let mut points = request.into_inner();
        let mut summary = RouteSummary::default();
        while let Some(point) = points.next().await {
            point?;
            summary.point_count += 1;
        }
        Ok(Response::new(summary))
    }

    async fn route_chat(&self, request: Request<Streaming<RouteNote>>) -> Result<Response<Self::RouteChatStream>, Status> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}
