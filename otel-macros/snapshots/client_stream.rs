#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    async fn record_route(&self, mut request: Request<Streaming<Point>>) -> Result<Response<RouteSummary>, Status> {
        let mut summary = RouteSummary::default();
        while let Some(point) = request.get_mut().message().await? {
            summary.add(point);
        }
        Ok(Response::new(summary))
    }
}
