#[tonic::async_trait]
impl greeter_server::Greeter for MyGreeter {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        use ::otel_runtime::__private::RespondUnboxed as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
                "Greeter",
                "SayHello",
            )
            .with_service(::otel_runtime::__private::service_name!(greeter_server))
            .with_method("SayHELLO")
            .public_endpoint()
            .request_headers(&["x-tenant", "trace-bin"])
            .response_trailers(&["x-retry-after"]);
        (&__RPC)
            .returning::<Result<Response<HelloReply>, Status>>()
            .unboxed()
            .__respond(move |__call| {
                *__call = (&__RPC)
                    .start_with(&request, |__start| __start(&self.instrumentation))
                    .with_attributes(|| [
                        ::otel_runtime::__private::attribute(
                            "tenant.id",
                            request.get_ref().tenant.as_str(),
                        ),
                        ::otel_runtime::__private::attribute("zone", self.zone),
                    ]);
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
