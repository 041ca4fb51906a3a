use otel_runtime::traced_service;
use tonic::service::Interceptor;
use tonic::{Request, Status};

struct Authenticate;

#[traced_service]
impl Interceptor for Authenticate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        Ok(request)
    }
}

fn main() {}
