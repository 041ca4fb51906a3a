#[traced_service(crate = my_framework::telemetry)]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = Streaming<RouteNote>;

    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        self.feature_at(request.into_inner())
    }

    async fn route_chat(&self, request: Request<Streaming<RouteNote>>) -> Result<Response<Self::RouteChatStream>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}
