#[traced_service]
#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    #[cfg(unix)]
    type RouteChatStream = UnixNotes;
    #[cfg(not(unix))]
    type RouteChatStream = Notes;

    async fn route_chat(&self, request: Request<Streaming<RouteNote>>) -> Result<Response<Self::RouteChatStream>, Status> {
        self.answer(request.into_inner())
    }
}
