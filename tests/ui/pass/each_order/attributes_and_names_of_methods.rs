#![deny(warnings, unsafe_op_in_unsafe_fn)]

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Numbers {
    async fn r#gen(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
    async fn expected(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
    async fn captured(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
}

struct MyNumbers<const N: usize>([u32; N]);

fn values<T: Copy>(values: &[T]) -> impl Iterator<Item = T> + use<'_, T> {
    values.iter().copied()
}

#[traced_service]
#[tonic::async_trait]
impl<const N: usize> Numbers for MyNumbers<N> {
    async fn r#gen(&self, request: Request<u32>) -> Result<Response<u32>, Status> {
        let r#gen = request.into_inner();
        Ok(Response::new(r#gen))
    }

    // An expectation that nothing fulfills would be a warning.
    #[expect(unused_variables)]
    async fn expected(&self, request: Request<u32>) -> Result<Response<u32>, Status> {
        let unused = 1;
        Ok(Response::new(2))
    }

    async fn captured(&self, _: Request<u32>) -> Result<Response<u32>, Status> {
        Ok(Response::new(values(&self.0).sum()))
    }
}
