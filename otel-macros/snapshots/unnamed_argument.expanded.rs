#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(
        &self,
        __request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "Greeter",
            "SayHello",
        );
        (&__RPC)
            .returning::<Result<Response<HelloReply>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&__request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<HelloReply>, Status>,
                        >();
                    }
                    { Err(Status::unavailable("not in the mood")) }
                }
            })
            .await
    }
    async fn forget(
        &self,
        _request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "Greeter",
            "Forget",
        );
        (&__RPC)
            .returning::<Result<Response<HelloReply>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                #[allow(clippy::used_underscore_binding)]
                {
                    *__call = (&__RPC).start(&_request);
                }
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<HelloReply>, Status>,
                        >();
                    }
                    { Err(Status::unimplemented("forget")) }
                }
            })
            .await
    }
}
