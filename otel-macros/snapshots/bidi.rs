#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>;

    async fn route_chat(&self, request: Request<Streaming<RouteNote>>) -> Result<Response<Self::RouteChatStream>, Status> {
        if self.is_full() {
            return Err(Status::resource_exhausted("too many chats"));
        }
        Ok(Response::new(Box::pin(self.answer(request.into_inner()))))
    }
}
