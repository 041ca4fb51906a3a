#[tonic::async_trait]
impl proto::greeter_server::Greeter for MyGreeter {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
                "Greeter",
                "SayHello",
            )
            .with_service(
                ::otel_runtime::__private::service_name!(proto::greeter_server),
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
