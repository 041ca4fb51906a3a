#[traced_service(boxed_streams)]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type ListFeaturesStream = Pin<Box<dyn Stream<Item = Result<Feature, Status>> + Send>>;

    async fn list_features(&self, request: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        Ok(Response::new(Box::pin(self.search(request.into_inner()))))
    }
}
