#![deny(warnings)]

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Echo {
    async fn echo(&self, request: Request<String>) -> Result<Response<String>, Status>;
}

#[traced_service]
#[tonic::async_trait]
impl<E: Echo + Sync> Echo for &'static E {
    async fn echo(&self, request: Request<String>) -> Result<Response<String>, Status> {
        E::echo(self, request).await
    }
}
