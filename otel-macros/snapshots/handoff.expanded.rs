#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = ::otel_runtime::TracedStream<
        Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>,
    >;
    /// Notes, answered.
    #[tracing::instrument(skip(self, request))]
    #[::otel_runtime::__private::rpc(
        ::otel_runtime;(
            for_trait("RouteGuide", "RouteChat")
        );respond_stream;(RouteChatStream);();()
    )]
    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        Ok(Response::new(Box::pin(self.answer(request.into_inner()))))
    }
}
