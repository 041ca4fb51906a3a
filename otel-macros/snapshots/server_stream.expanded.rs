#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type ListFeaturesStream = ::otel_runtime::TracedStream<
        ReceiverStream<Result<Feature, Status>>,
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
            .returning::<
                Result<
                    Response<
                        ::otel_runtime::__private::Untraced<Self::ListFeaturesStream>,
                    >,
                    Status,
                >,
            >()
            .unboxed()
            .respond_stream(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<
                                Response<
                                    ::otel_runtime::__private::Untraced<
                                        Self::ListFeaturesStream,
                                    >,
                                >,
                                Status,
                            >,
                        >();
                    }
                    {
                        let (sender, receiver) = mpsc::channel(4);
                        self.search(request.into_inner(), sender);
                        Ok(
                            Response::new(
                                <::otel_runtime::__private::Untraced<
                                    Self::ListFeaturesStream,
                                >>::new(receiver),
                            ),
                        )
                    }
                }
            })
            .await
    }
}
