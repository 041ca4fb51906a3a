use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

struct MyGreeter;

#[traced_service(serv, crate = my_crate::, instrumentation = self.)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    #[traced(fields(tenant.id = request.))]
    async fn say_hello(&self, _request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        todo!()
    }
}

fn main() {}
