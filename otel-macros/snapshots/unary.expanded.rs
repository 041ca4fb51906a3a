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
            .start::<Result<Response<HelloReply>, Status>>(&request)
            .respond(async move {
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
