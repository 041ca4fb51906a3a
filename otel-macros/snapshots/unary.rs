#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    /// Greets by name.
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let name = self.name_of(request).await?;
        Ok(Response::new(HelloReply { name }))
    }
}
