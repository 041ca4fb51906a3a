#[tonic::async_trait]
impl Chat for MyChat {
    type ListenStream = ::otel_runtime::TracedStream<Lines>;
    #[instrument(skip_all)]
    #[define_opaque(Lines)]
    async fn listen(
        &self,
        request: Request<Line>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "Chat",
            "Listen",
        );
        (&__RPC)
            .returning::<
                Result<
                    Response<::otel_runtime::__private::Untraced<Self::ListenStream>>,
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
                                    ::otel_runtime::__private::Untraced<Self::ListenStream>,
                                >,
                                Status,
                            >,
                        >();
                    }
                    { Ok(Response::new(tokio_stream::once(Ok(request.into_inner())))) }
                }
            })
            .await
    }
}
