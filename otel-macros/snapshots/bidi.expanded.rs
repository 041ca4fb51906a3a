#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = ::otel_runtime::TracedStream<
        Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>,
    >;
    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "RouteGuide",
            "RouteChat",
        );
        (&__RPC)
            .returning::<
                Result<
                    Response<::otel_runtime::__private::Untraced<Self::RouteChatStream>>,
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
                                    ::otel_runtime::__private::Untraced<Self::RouteChatStream>,
                                >,
                                Status,
                            >,
                        >();
                    }
                    {
                        if self.is_full() {
                            return Err(Status::resource_exhausted("too many chats"));
                        }
                        Ok(Response::new(Box::pin(self.answer(request.into_inner()))))
                    }
                }
            })
            .await
    }
}
