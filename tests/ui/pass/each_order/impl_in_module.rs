// Needs `#[async_trait]`: the trait is generated.

#![deny(warnings)]

mod service {
    pub(super) mod nested {
        use examples::helloworld::{HelloReply, HelloRequest, greeter_server};
        use tonic::{Request, Response, Status};

        pub(crate) struct MyGreeter;

        #[otel_runtime::traced_service]
        #[tonic::async_trait]
        impl greeter_server::Greeter for MyGreeter {
            async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
                super::greet(request)
            }
        }

        pub(in crate::impl_in_module::service) fn hello(name: String) -> HelloReply {
            HelloReply { message: name }
        }
    }

    fn greet(
        request: tonic::Request<examples::helloworld::HelloRequest>,
    ) -> Result<tonic::Response<examples::helloworld::HelloReply>, tonic::Status> {
        Ok(tonic::Response::new(nested::hello(request.into_inner().name)))
    }
}

const _: service::nested::MyGreeter = service::nested::MyGreeter;
