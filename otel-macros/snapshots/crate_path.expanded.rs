#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = my_framework::telemetry::TracedStream<Streaming<RouteNote>>;
    async fn get_feature(
        &self,
        request: Request<Point>,
    ) -> Result<Response<Feature>, Status> {
        use my_framework::telemetry::__private::Respond as _;
        static __RPC: my_framework::telemetry::__private::Rpc = my_framework::telemetry::__private::Rpc::learn(
            "RouteGuide",
            "GetFeature",
        );
        __RPC
            .returning::<Result<Response<Feature>, Status>>()
            .respond(async move {
                __RPC.start(&request);
                if false {
                    return my_framework::telemetry::__private::returns::<
                        Result<Response<Feature>, Status>,
                    >();
                }
                self.feature_at(request.into_inner())
            })
            .await
    }
    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        static __RPC: my_framework::telemetry::__private::Rpc = my_framework::telemetry::__private::Rpc::learn(
            "RouteGuide",
            "RouteChat",
        );
        __RPC
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
            .respond_stream(async move {
                __RPC.start(&request);
                if false {
                    return my_framework::telemetry::__private::returns::<
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
                Ok(Response::new(request.into_inner()))
            })
            .await
    }
}
