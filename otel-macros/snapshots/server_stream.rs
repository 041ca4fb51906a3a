#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type ListFeaturesStream = ReceiverStream<Result<Feature, Status>>;

    async fn list_features(&self, request: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        let (sender, receiver) = mpsc::channel(4);
        self.search(request.into_inner(), sender);
        Ok(Response::new(Self::ListFeaturesStream::new(receiver)))
    }
}
