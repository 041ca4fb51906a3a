#[tonic::async_trait]
impl Greeter for MyGreeter {
    /// Greets by name.
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::Respond as _;
        static __RPC: ::otel_runtime::__private::Rpc = ::otel_runtime::__private::Rpc::learn(
            "Greeter",
            "SayHello",
        );
        __RPC
            .returning::<Result<Response<HelloReply>, Status>>()
            .respond(async move {
                __RPC.start(&request);
                if false {
                    return ::otel_runtime::__private::returns::<
                        Result<Response<HelloReply>, Status>,
                    >();
                }
                let name = self.name_of(request).await?;
                Ok(Response::new(HelloReply { name }))
            })
            .await
    }
}
