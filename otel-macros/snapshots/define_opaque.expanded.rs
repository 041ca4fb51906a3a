#[tonic::async_trait]
impl Chat for MyChat {
    type ListenStream = ::otel_runtime::TracedStream<Lines>;
    #[instrument(skip_all)]
    #[define_opaque(Lines)]
    async fn listen(
        &self,
        request: Request<Line>,
    ) -> Result<Response<Self::ListenStream>, Status> {
        static __RPC: ::otel_runtime::__private::Rpc = ::otel_runtime::__private::Rpc::learn(
            "Chat",
            "Listen",
        );
        __RPC
            .returning::<
                Result<
                    Response<::otel_runtime::__private::Untraced<Self::ListenStream>>,
                    Status,
                >,
            >()
            .respond_stream(async move {
                __RPC.start(&request);
                if false {
                    return ::otel_runtime::__private::returns::<
                        Result<
                            Response<
                                ::otel_runtime::__private::Untraced<Self::ListenStream>,
                            >,
                            Status,
                        >,
                    >();
                }
                Ok(Response::new(tokio_stream::once(Ok(request.into_inner()))))
            })
            .await
    }
}
