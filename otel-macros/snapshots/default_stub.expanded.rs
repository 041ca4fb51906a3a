#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    async fn list_features(
        &self,
        request: Request<Rectangle>,
    ) -> Result<Response<BoxStream<Feature>>, Status> {
        use ::otel_runtime::__private::Respond as _;
        static __RPC: ::otel_runtime::__private::Rpc = ::otel_runtime::__private::Rpc::learn(
            "RouteGuide",
            "ListFeatures",
        );
        __RPC
            .returning::<Result<Response<BoxStream<Feature>>, Status>>()
            .respond(async move {
                __RPC.start(&request);
                if false {
                    return ::otel_runtime::__private::returns::<
                        Result<Response<BoxStream<Feature>>, Status>,
                    >();
                }
                Ok(Response::new(Box::pin(self.search(request.into_inner()))))
            })
            .await
    }
}
