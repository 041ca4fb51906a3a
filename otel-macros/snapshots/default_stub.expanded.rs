#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    async fn list_features(
        &self,
        request: Request<Rectangle>,
    ) -> Result<Response<BoxStream<Feature>>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "RouteGuide",
            "ListFeatures",
        );
        (&__RPC)
            .returning::<Result<Response<BoxStream<Feature>>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<BoxStream<Feature>>, Status>,
                        >();
                    }
                    { Ok(Response::new(Box::pin(self.search(request.into_inner())))) }
                }
            })
            .await
    }
}
