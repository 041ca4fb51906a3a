#[traced_service]
impl Greeter for MyGreeter {
    fn say_hello<'a>(
        &'a self,
        request: Request<HelloRequest>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<HelloReply>, Status>> + Send + 'a>> {
        if request.get_ref().name.is_empty() {
            return Box::pin(ready(Err(Status::invalid_argument("no name"))));
        }
        Box::pin(self.greet(request))
    }
}
