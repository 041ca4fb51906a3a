#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(
        &self,
        __request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::Respond as _;
        static __RPC: ::otel_runtime::__private::Rpc = ::otel_runtime::__private::Rpc::learn(
            "Greeter",
            "SayHello",
        );
        __RPC
            .returning::<Result<Response<HelloReply>, Status>>()
            .respond(async move {
                __RPC.start(&__request);
                if false {
                    return ::otel_runtime::__private::returns::<
                        Result<Response<HelloReply>, Status>,
                    >();
                }
                Err(Status::unavailable("not in the mood"))
            })
            .await
    }
}
