//! A body keeps its edition: this crate has edition 2021, in which the temporaries of a block's
//! last expression are dropped after its locals. Its `Cargo.toml` renames otel-runtime.

#![cfg(test)]
#![warn(clippy::nursery)]

use std::future::Future;
use std::sync::Mutex;

use integration_tests::kinds::Message;
use integration_tests::rpc::request;
use telemetry::traced_service;
use tonic::{Request, Response, Status};

/// A value that notes its drop.
struct Noted<'a>(&'a Mutex<Vec<&'static str>>, &'static str);

impl Noted<'_> {
    #[allow(clippy::unnecessary_wraps)]
    fn reply(&self) -> Result<Response<Message>, Status> {
        Ok(Response::new(Message::from(self.1)))
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(self.1);
    }
}

trait Service {
    fn call(&self, request: Request<Message>) -> impl Future<Output = Result<Response<Message>, Status>> + Send;
}

macro_rules! services {
    ($($(#[$attribute:meta])* $name:ident,)*) => {
        $(
            #[derive(Default)]
            struct $name(Mutex<Vec<&'static str>>);

            $(#[$attribute])*
            impl Service for $name {
                async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
                    let _local = Noted(&self.0, "local");
                    Noted(&self.0, "temporary").reply()
                }
            }
        )*
    };
}

services! {
    Plain,
    #[traced_service]
    Annotated,
}

#[tokio::test]
async fn temporaries_are_dropped_in_the_same_order() {
    let (plain, annotated) = (Plain::default(), Annotated::default());
    plain.call(request("")).await.unwrap();
    annotated.call(request("")).await.unwrap();
    assert_eq!(plain.0.into_inner().unwrap(), ["local", "temporary"]);
    assert_eq!(annotated.0.into_inner().unwrap(), ["local", "temporary"]);
}
