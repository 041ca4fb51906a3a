//! Services whose lines `tests/attribute/coverage.rs` counts, with the attribute and without.

#![allow(unexpected_cfgs, missing_docs)]

use tonic::{Request, Response, Status};

#[allow(async_fn_in_trait)]
trait Native {
    async fn count(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
}

#[tonic::async_trait]
trait Boxed {
    async fn count(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
}

struct MyNative;
struct MyBoxed;

#[cfg_attr(any(above, below), otel_runtime::traced_service)]
impl Native for MyNative {
    async fn count(&self, request: Request<u32>) -> Result<Response<u32>, Status> {
        let last = request.into_inner(); // native
        let mut sum = 0; // native
        for number in 0..=last {
            if number % 2 == 0 {
                sum += number; // native
            } else {
                sum += 1; // native
            }
        }
        std::future::ready(()).await; // native
        if sum > 100 {
            return Err(Status::out_of_range("too many")); // native
        }
        let double = |number| {
            number * 2 // native
        };
        Ok(Response::new(double(sum))) // native
    }
}

#[cfg_attr(above, otel_runtime::traced_service)]
#[tonic::async_trait]
#[cfg_attr(below, otel_runtime::traced_service)]
impl Boxed for MyBoxed {
    async fn count(&self, request: Request<u32>) -> Result<Response<u32>, Status> {
        let last = request.into_inner();
        if last > 100 {
            return Err(Status::out_of_range("too many"));
        }
        let double = |number| {
            number * 2 // boxed
        };
        Ok(Response::new(double(last)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Status> {
    let native = MyNative.count(Request::new(2)).await?;
    let boxed = MyBoxed.count(Request::new(2)).await?;
    println!("{} {}", native.into_inner(), boxed.into_inner());
    Ok(())
}
