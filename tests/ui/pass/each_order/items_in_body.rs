#![deny(warnings)]

use examples::helloworld::{HelloReply, HelloRequest};
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Greeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status>;
}

struct MyGreeter {
    greeting: String,
}

#[traced_service]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        use std::fmt::Write;

        const LIMIT: usize = 10;
        static GREETED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

        struct Guest<'a> {
            name: &'a str,
        }

        impl Guest<'_> {
            fn name(&self) -> Result<&str, Status> {
                if self.name.is_empty() {
                    return Err(Status::invalid_argument("no name"));
                }
                Ok(self.name)
            }
        }

        fn short(name: &str) -> Option<&str> {
            name.get(..LIMIT)
        }

        macro_rules! shout {
            ($text:expr) => {
                $text.to_uppercase()
            };
        }

        let guest = Guest { name: &request.get_ref().name };
        let mut message = self.greeting.clone();
        let greet = |message: &mut String, name: &str| -> std::fmt::Result {
            if name.is_empty() {
                return Ok(());
            }
            write!(message, ", {name}")
        };
        let name = guest.name()?;
        greet(&mut message, short(name).unwrap_or(name)).map_err(|error| Status::internal(error.to_string()))?;
        let loud = async {
            if GREETED.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0 {
                return shout!(message);
            }
            message.clone()
        };
        let result: Result<String, Status> = async { Ok(loud.await) }.await;
        Ok(Response::new(HelloReply { message: result? }))
    }
}
