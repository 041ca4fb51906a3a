#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, Request { .. }: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.greet_anybody().await
    }
}
