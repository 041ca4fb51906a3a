#![deny(warnings)]

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

// Like a trait generated with tonic-build's `generate_default_stubs`.
#[tonic::async_trait]
trait Echo {
    async fn echo(&self, _: Request<String>) -> Result<Response<String>, Status> {
        Err(Status::unimplemented("Not yet implemented"))
    }
}

struct MyEcho;

#[traced_service]
#[tonic::async_trait]
impl Echo for MyEcho {}
