#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>;

    /// Notes, answered.
    #[tracing::instrument(skip(self, request))]
    async fn route_chat(&self, request: Request<Streaming<RouteNote>>) -> Result<Response<Self::RouteChatStream>, Status> {
        Ok(Response::new(Box::pin(self.answer(request.into_inner()))))
    }
}
