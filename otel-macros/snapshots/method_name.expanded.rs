#[tonic::async_trait]
impl Cache for MyCache {
    async fn put_kv(&self, request: Request<Pair>) -> Result<Response<()>, Status> {
        use ::otel_runtime::__private::Respond as _;
        static __RPC: ::otel_runtime::__private::Rpc = ::otel_runtime::__private::Rpc::learn(
                "Cache",
                "PutKv",
            )
            .named("PutKV");
        __RPC
            .returning::<Result<Response<()>, Status>>()
            .respond(async move {
                __RPC.start(&request);
                if false {
                    return ::otel_runtime::__private::returns::<
                        Result<Response<()>, Status>,
                    >();
                }
                self.put(request).await
            })
            .await
    }
}
