// The method spells out its stream type. In the trait, it returns `Self::RouteChatStream`.
#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = Notes;

    async fn route_chat(&self, request: Request<Streaming<RouteNote>>) -> Result<Response<Notes>, Status> {
        self.answer(request.into_inner())
    }
}
