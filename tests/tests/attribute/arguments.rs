//! The request argument of a handler may be any pattern.

use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

/// A handwritten trait with the signatures of a generated one.
#[tonic::async_trait]
trait Arguments {
    async fn ignored(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
    async fn unused(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
    async fn mutable(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
    async fn bound(&self, request: Request<u32>) -> Result<Response<u32>, Status>;
}

struct Service;

#[traced_service]
#[tonic::async_trait]
impl Arguments for Service {
    async fn ignored(&self, _: Request<u32>) -> Result<Response<u32>, Status> {
        Ok(Response::new(1))
    }

    async fn unused(&self, _request: Request<u32>) -> Result<Response<u32>, Status> {
        Ok(Response::new(2))
    }

    async fn mutable(&self, mut request: Request<u32>) -> Result<Response<u32>, Status> {
        *request.get_mut() += 1;
        Ok(Response::new(request.into_inner()))
    }

    async fn bound(&self, whole @ Request { .. }: Request<u32>) -> Result<Response<u32>, Status> {
        Ok(Response::new(whole.into_inner() + 2))
    }
}

#[tokio::test]
async fn every_argument_pattern_is_traced() {
    let telemetry = Telemetry::start();
    let request = || Request::new(2);
    assert_eq!(Service.ignored(request()).await.unwrap().into_inner(), 1);
    assert_eq!(Service.unused(request()).await.unwrap().into_inner(), 2);
    assert_eq!(Service.mutable(request()).await.unwrap().into_inner(), 3);
    assert_eq!(Service.bound(request()).await.unwrap().into_inner(), 4);

    let spans = telemetry.spans(4).await;
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(
        names,
        [
            "Arguments/Ignored",
            "Arguments/Unused",
            "Arguments/Mutable",
            "Arguments/Bound"
        ]
    );
    for span in &spans {
        assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
    }
}
