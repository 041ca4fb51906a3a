#[tonic::async_trait]
impl RouteGuide for MyRouteGuide {
    type RouteChatStream = ::otel_runtime::TracedStream<Notes>;
    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> ::core::result::Result<
        ::otel_runtime::__private::Response<Self::RouteChatStream>,
        ::otel_runtime::__private::Status,
    > {
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "RouteGuide",
            "RouteChat",
        );
        (&__RPC)
            .returning::<
                ::core::result::Result<
                    ::otel_runtime::__private::Response<
                        ::otel_runtime::__private::Untraced<Self::RouteChatStream>,
                    >,
                    ::otel_runtime::__private::Status,
                >,
            >()
            .unboxed()
            .respond_stream(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            ::core::result::Result<
                                ::otel_runtime::__private::Response<
                                    ::otel_runtime::__private::Untraced<Self::RouteChatStream>,
                                >,
                                ::otel_runtime::__private::Status,
                            >,
                        >();
                    }
                    { self.answer(request.into_inner()) }
                }
            })
            .await
    }
}
