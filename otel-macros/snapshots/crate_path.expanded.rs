#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = my_framework::telemetry::TracedStream<Streaming<RouteNote>>;
    async fn get_feature(
        &self,
        request: Request<Point>,
    ) -> Result<Response<Feature>, Status> {
        use my_framework::telemetry::__private::RespondUnboxed as _;
        static __RPC: my_framework::telemetry::__private::MethodDescriptor = my_framework::telemetry::__private::MethodDescriptor::for_trait(
            "RouteGuide",
            "GetFeature",
        );
        (&__RPC)
            .returning::<Result<Response<Feature>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return my_framework::telemetry::__private::type_hint::<
                            Result<Response<Feature>, Status>,
                        >();
                    }
                    { self.feature_at(request.into_inner()) }
                }
            })
            .await
    }
    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        static __RPC: my_framework::telemetry::__private::MethodDescriptor = my_framework::telemetry::__private::MethodDescriptor::for_trait(
            "RouteGuide",
            "RouteChat",
        );
        (&__RPC)
            .returning::<
                Result<
                    Response<
                        my_framework::telemetry::__private::Untraced<
                            Self::RouteChatStream,
                        >,
                    >,
                    Status,
                >,
            >()
            .unboxed()
            .respond_stream(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return my_framework::telemetry::__private::type_hint::<
                            Result<
                                Response<
                                    my_framework::telemetry::__private::Untraced<
                                        Self::RouteChatStream,
                                    >,
                                >,
                                Status,
                            >,
                        >();
                    }
                    { Ok(Response::new(request.into_inner())) }
                }
            })
            .await
    }
}
