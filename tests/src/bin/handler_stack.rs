//! Calls a handler with large locals on a thread with a small stack: `handler_stack plain 256`.
//!
//! The second argument is the size of the stack in KiB. If the stack is too small, the process
//! aborts. `tests/attribute/handler_stack.rs` searches for the smallest size that suffices.

// The large local is the point of this program.
#![allow(clippy::large_stack_arrays)]

use std::env;
use std::hint::black_box;
use std::thread;

use integration_tests::kinds::Message;
use integration_tests::kinds::server_stream_server::ServerStream;
use integration_tests::kinds::unary_server::Unary;
use otel_runtime::traced_service;
use tokio_stream::Iter;
use tonic::{Request, Response, Status};

type Messages = Iter<std::vec::IntoIter<Result<Message, Status>>>;

/// The size of the handlers' local variable, which lives across an await.
const LOCAL: usize = 200 * 1024;

struct Plain;
struct Traced;

#[tonic::async_trait]
impl Unary for Plain {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let local = [1_u8; LOCAL];
        tokio::task::yield_now().await;
        black_box(&local);
        Ok(Response::new(request.into_inner()))
    }
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Traced {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        let local = [1_u8; LOCAL];
        tokio::task::yield_now().await;
        black_box(&local);
        Ok(Response::new(request.into_inner()))
    }
}

#[tonic::async_trait]
impl ServerStream for Plain {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let local = [1_u8; LOCAL];
        tokio::task::yield_now().await;
        black_box(&local);
        Ok(Response::new(tokio_stream::iter(vec![Ok(request.into_inner())])))
    }
}

#[traced_service]
#[tonic::async_trait]
impl ServerStream for Traced {
    type CallStream = Messages;

    async fn call(&self, request: Request<Message>) -> Result<Response<Self::CallStream>, Status> {
        let local = [1_u8; LOCAL];
        tokio::task::yield_now().await;
        black_box(&local);
        Ok(Response::new(tokio_stream::iter(vec![Ok(request.into_inner())])))
    }
}

fn call(handler: &str) {
    let request = Request::new(Message::from(""));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    match handler {
        "plain" => drop(runtime.block_on(Unary::call(&Plain, request)).unwrap()),
        "traced" => drop(runtime.block_on(Unary::call(&Traced, request)).unwrap()),
        "plain stream" => drop(runtime.block_on(ServerStream::call(&Plain, request)).unwrap()),
        "traced stream" => drop(runtime.block_on(ServerStream::call(&Traced, request)).unwrap()),
        other => panic!("unknown handler {other:?}"),
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [handler, kib] = &arguments[..] else {
        panic!("expected a handler and the size of a stack in KiB")
    };
    let handler = handler.clone();
    let thread = thread::Builder::new()
        .stack_size(kib.parse::<usize>().unwrap() * 1024)
        .spawn(move || call(&handler));
    thread.unwrap().join().unwrap();
}
