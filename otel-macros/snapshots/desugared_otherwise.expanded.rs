impl Greeter for MyGreeter {
    fn say_hello<'a>(
        &'a self,
        request: Request<HelloRequest>,
    ) -> Pin<
        Box<dyn Future<Output = Result<Response<HelloReply>, Status>> + Send + 'a>,
    > {
        ::std::boxed::Box::pin(async move {
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
                })
                .await
        })
    }
}
