#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type ListFeaturesStream = Pin<
        Box<dyn Stream<Item = Result<Feature, Status>> + Send>,
    >;
    async fn list_features(
        &self,
        request: Request<Rectangle>,
    ) -> Result<Response<Self::ListFeaturesStream>, Status> {
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "RouteGuide",
            "ListFeatures",
        );
        (&__RPC)
            .returning::<Result<Response<Self::ListFeaturesStream>, Status>>()
            .unboxed()
            .respond_boxed_stream(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<Self::ListFeaturesStream>, Status>,
                        >();
                    }
                    { Ok(Response::new(Box::pin(self.search(request.into_inner())))) }
                }
            })
            .await
    }
}
