use examples::routeguide::route_guide_server::RouteGuide;
use examples::routeguide::{Feature, Point, Rectangle, RouteNote, RouteSummary};
use otel_runtime::traced_service;
use tokio_stream::Iter;
use tonic::{Request, Response, Status, Streaming};

struct MyRouteGuide;

#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type ListFeaturesStream = Iter<std::vec::IntoIter<Result<Feature, Status>>>;
    type RouteChatStream = Streaming<RouteNote>;

    async fn get_feature(&self, _: Request<Point>) -> Result<Response<Feature>, Status> {
        todo!()
    }

    async fn list_features(&self, _: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        Ok(Response::new(vec![Ok(Feature::default())]))
    }

    async fn record_route(&self, _: Request<Streaming<Point>>) -> Result<Response<RouteSummary>, Status> {
        todo!()
    }

    async fn route_chat(&self, _: Request<Streaming<RouteNote>>) -> Result<Response<Self::RouteChatStream>, Status> {
        todo!()
    }
}

fn main() {}
