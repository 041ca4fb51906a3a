#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest, greeter_server::Greeter};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

/// On the type.
struct MyGreeter;

/// On the impl.
#[allow(clippy::unused_async)]
#[traced_service]
#[allow(unused_variables)]
#[tonic::async_trait]
#[allow(clippy::missing_errors_doc)]
impl Greeter for MyGreeter {
    #![allow(unused_mut)]

    /// On the method.
    ///
    /// In two paragraphs.
    #[allow(unused_assignments)]
    #[cfg_attr(unix, allow(unused_must_use))]
    #[cfg_attr(not(unix), deny(missing_docs))]
    #[expect(unused_parens)]
    #[inline]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        #![allow(path_statements)]
        // In the body.
        let unused = (1);
        Err::<(), ()>(());
        unused;
        Ok(Response::new(HelloReply::default()))
    }
}

/// On the type.
struct Below;

/// On the impl.
#[allow(clippy::unused_async)]
#[tonic::async_trait]
#[allow(unused_variables)]
#[traced_service]
#[allow(clippy::missing_errors_doc)]
impl Greeter for Below {
    #![allow(unused_mut)]

    /// On the method.
    ///
    /// In two paragraphs.
    #[allow(unused_assignments)]
    #[cfg_attr(unix, allow(unused_must_use))]
    #[cfg_attr(not(unix), deny(missing_docs))]
    #[expect(unused_parens)]
    #[inline]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        #![allow(path_statements)]
        // In the body.
        let unused = (1);
        Err::<(), ()>(());
        unused;
        Ok(Response::new(HelloReply::default()))
    }
}
