#[traced_service(service = proto::greeter_server::SERVICE_NAME)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.greet(request).await
    }
}
