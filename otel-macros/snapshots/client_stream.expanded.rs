#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    async fn record_route(
        &self,
        mut request: Request<Streaming<Point>>,
    ) -> Result<Response<RouteSummary>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "RouteGuide",
            "RecordRoute",
        );
        (&__RPC)
            .returning::<Result<Response<RouteSummary>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<RouteSummary>, Status>,
                        >();
                    }
                    {
                        let mut summary = RouteSummary::default();
                        while let Some(point) = request.get_mut().message().await? {
                            summary.add(point);
                        }
                        Ok(Response::new(summary))
                    }
                }
            })
            .await
    }
}
