#[tonic::async_trait]
impl greeter_server::Greeter for MyGreeter {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::Respond as _;
        static __RPC: ::otel_runtime::__private::Rpc = ::otel_runtime::__private::Rpc::learn(
                "Greeter",
                "SayHello",
            )
            .of_module(::otel_runtime::__private::service_name!(greeter_server))
            .named("SayHELLO")
            .public_endpoint()
            .request_headers(&["x-tenant", "trace-bin"])
            .response_trailers(&["x-retry-after"]);
        __RPC
            .returning::<Result<Response<HelloReply>, Status>>()
            .respond(async move {
                __RPC
                    .start_with(&request, |__start| __start(&self.instrumentation))
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
    async fn say_nothing(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.silence(request).await
    }
    type CountStream = Numbers;
    async fn count(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::CountStream>, Status> {
        Ok(Response::new(Self::CountStream::from(request)))
    }
}
