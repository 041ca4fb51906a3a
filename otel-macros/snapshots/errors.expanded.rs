#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.greet(request).await
    }
    async fn say_goodbye(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.farewell(request)
    }
    async fn say_nothing(&self) -> Result<Response<HelloReply>, Status> {
        self.silence().await
    }
}
::core::compile_error! {
    "unknown argument `nam`; expected one of `service`, `skip`, `public_endpoint`, `boxed_streams`, `request_headers`, `response_headers`, `response_trailers`, `instrumentation`, `crate`"
}
::core::compile_error! {
    "expected a string or the path of a string constant, such as `\"helloworld.Greeter\"` or `greeter_server::SERVICE_NAME`"
}
::core::compile_error! {
    "`say_goodbye` is not async; expected an `async fn`, or the return type `Pin<Box<dyn Future<Output = …> + Send + '_>>`"
}
::core::compile_error! {
    "expected a gRPC method: `async fn name(&self, request: tonic::Request<T>)`"
}
