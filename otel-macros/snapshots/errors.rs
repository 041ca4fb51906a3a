#[traced_service(nam = "helloworld.Greeter", service = 1)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.greet(request).await
    }

    fn say_goodbye(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.farewell(request)
    }

    async fn say_nothing(&self) -> Result<Response<HelloReply>, Status> {
        self.silence().await
    }
}
