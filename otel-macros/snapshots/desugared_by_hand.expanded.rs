impl Greeter for MyGreeter {
    fn say_hello<'a>(
        &'a self,
        request: Request<HelloRequest>,
    ) -> Pin<
        Box<dyn Future<Output = Result<Response<HelloReply>, Status>> + Send + 'a>,
    > {
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
                (move || -> Pin<
                    Box<
                        dyn Future<
                            Output = Result<Response<HelloReply>, Status>,
                        > + Send + 'a,
                    >,
                > {
                    if request.get_ref().name.is_empty() {
                        return Box::pin(ready(Err(Status::invalid_argument("no name"))));
                    }
                    Box::pin(self.greet(request))
                })()
                    .await
            })
    }
}
