#[traced_service(
    public_endpoint,
    request_headers("x-tenant", "trace-bin"),
    response_trailers("x-retry-after"),
    instrumentation = self.instrumentation,
    skip(say_nothing)
)]
#[tonic::async_trait]
impl greeter_server::Greeter for MyGreeter {
    #[traced(name = "SayHELLO", fields(tenant.id = request.get_ref().tenant.as_str(), "zone" = self.zone))]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.greet(request).await
    }

    async fn say_nothing(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        self.silence(request).await
    }

    type CountStream = Numbers;

    #[traced(skip)]
    async fn count(&self, request: Request<HelloRequest>) -> Result<Response<Self::CountStream>, Status> {
        Ok(Response::new(Self::CountStream::from(request)))
    }
}
