//! A skipped method has no span and no metrics, and works as without the attribute.

use std::pin::Pin;

use examples::routeguide::route_guide_client::RouteGuideClient;
use examples::routeguide::route_guide_server::{RouteGuide, RouteGuideServer};
use examples::routeguide::{Feature, Point, Rectangle, RouteNote, RouteSummary};
use integration_tests::own_process::in_own_process_async;
use integration_tests::server::serve;
use integration_tests::telemetry::Telemetry;
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

struct Guide;

#[traced_service(skip(record_route, list_features))]
#[tonic::async_trait]
impl RouteGuide for Guide {
    type ListFeaturesStream = Pin<Box<dyn Stream<Item = Result<Feature, Status>> + Send>>;
    type RouteChatStream = Streaming<RouteNote>;

    async fn get_feature(&self, _: Request<Point>) -> Result<Response<Feature>, Status> {
        Ok(Response::new(Feature::default()))
    }

    async fn list_features(&self, _: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        let features: Self::ListFeaturesStream = Box::pin(tokio_stream::once(Ok(Feature::default())));
        Ok(Response::new(features))
    }

    async fn record_route(&self, _: Request<Streaming<Point>>) -> Result<Response<RouteSummary>, Status> {
        Ok(Response::new(RouteSummary::default()))
    }

    #[traced(skip)]
    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[test]
fn skipped_methods_are_not_recorded() {
    in_own_process_async(async {
        let telemetry = Telemetry::start();
        let server = serve(Routes::new(RouteGuideServer::new(Guide))).await;
        let mut client = RouteGuideClient::new(server.channel().await);

        let mut features = client.list_features(Rectangle::default()).await.unwrap().into_inner();
        while features.message().await.unwrap().is_some() {}
        client.record_route(tokio_stream::empty()).await.unwrap();
        let mut notes = client.route_chat(tokio_stream::empty()).await.unwrap().into_inner();
        assert!(notes.message().await.unwrap().is_none());
        client.get_feature(Point::default()).await.unwrap();

        assert_eq!(telemetry.span().await.name, "routeguide.RouteGuide/GetFeature");
        let metrics = telemetry.metrics();
        let [(point, 1, _)] = &metrics.durations()[..] else {
            panic!("{metrics:?}")
        };
        assert_eq!(point["rpc.method"], "routeguide.RouteGuide/GetFeature");
        assert_eq!(metrics.active_requests().len(), 1);
    });
}
