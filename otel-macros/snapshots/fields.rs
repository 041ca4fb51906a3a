#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    #[traced(fields(tenant.id = request.get_ref().tenant.as_str(), "zone" = self.zone))]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.greet(request).await
    }
}
