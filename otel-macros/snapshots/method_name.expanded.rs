#[tonic::async_trait]
impl Cache for MyCache {
    async fn put_kv(&self, request: Request<Pair>) -> Result<Response<()>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
                "Cache",
                "PutKv",
            )
            .with_method("PutKV");
        (&__RPC)
            .returning::<Result<Response<()>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<()>, Status>,
                        >();
                    }
                    { self.put(request).await }
                }
            })
            .await
    }
}
