#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    async fn record_route(
        &self,
        mut request: Request<Streaming<Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        use ::otel_runtime::__private::Respond as _;
        static __RPC: ::otel_runtime::__private::Rpc = ::otel_runtime::__private::Rpc::learn(
            "RouteGuide",
            "RecordRoute",
        );
        __RPC
            .returning::<Result<Response<RouteSummary>, Status>>()
            .respond(async move {
                __RPC.start(&request);
                if false {
                    return ::otel_runtime::__private::returns::<
                        Result<Response<RouteSummary>, Status>,
                    >();
                }
                let mut summary = RouteSummary::default();
                while let Some(point) = request.get_mut().message().await? {
                    summary.add(point);
                }
                Ok(Response::new(summary))
            })
            .await
    }
}
