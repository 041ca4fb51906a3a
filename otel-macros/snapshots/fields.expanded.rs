#[tonic::async_trait]
impl Greeter for MyGreeter {
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
                __RPC
                    .start(&request)
                    .with_attributes(|| [
                        ::otel_runtime::__private::attribute(
                            "tenant.id",
                            request.get_ref().tenant.as_str(),
                        ),
                        ::otel_runtime::__private::attribute("zone", self.zone),
                    ]);
                if false {
                    return ::otel_runtime::__private::returns::<
                        Result<Response<HelloReply>, Status>,
                    >();
                }
                self.greet(request).await
            })
            .await
    }
}
