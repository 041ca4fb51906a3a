// A trait generated with tonic-build's `generate_default_stubs` has no associated types.
#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    async fn list_features(&self, request: Request<Rectangle>) -> Result<Response<BoxStream<Feature>>, Status> {
        Ok(Response::new(Box::pin(self.search(request.into_inner()))))
    }
}
