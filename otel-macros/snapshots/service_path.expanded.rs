#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_service(
            proto::greeter_server::SERVICE_NAME,
            "SayHello",
        );
        (&__RPC)
            .returning::<Result<Response<HelloReply>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<HelloReply>, Status>,
                        >();
                    }
                    { self.greet(request).await }
                }
            })
            .await
    }
}
