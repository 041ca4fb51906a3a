impl Greeter for MyGreeter {
    fn say_hello<'a>(
        &'a self,
        request: Request<HelloRequest>,
    ) -> Pin<
        Box<dyn Future<Output = Result<Response<HelloReply>, Status>> + Send + 'a>,
    > {
        use ::otel_runtime::__private::RespondUnary as _;
        static __RPC: ::otel_runtime::__private::MethodDescriptor = ::otel_runtime::__private::MethodDescriptor::for_trait(
            "Greeter",
            "SayHello",
        );
        (&__RPC)
            .returning::<Result<Response<HelloReply>, Status>>()
            .__respond(move |__call| {
                *__call = (&__RPC).start(&request);
                async move {
                    if false {
                        return ::otel_runtime::__private::type_hint::<
                            Result<Response<HelloReply>, Status>,
                        >();
                    }
                    (move || -> Pin<
                        Box<
                            dyn Future<
                                Output = Result<Response<HelloReply>, Status>,
                            > + Send + 'a,
                        >,
                    > {
                        if request.get_ref().name.is_empty() {
                            return Box::pin(
                                ready(Err(Status::invalid_argument("no name"))),
                            );
                        }
                        Box::pin(self.greet(request))
                    })()
                        .await
                }
            })
    }
}
