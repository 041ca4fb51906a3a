//! Panics, `#[track_caller]` and backtraces name the lines of a body, as without the attribute.

use std::backtrace::Backtrace;
use std::panic::{self, Location};
use std::sync::atomic::{AtomicU32, Ordering};

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_server::Unary;
use integration_tests::own_process::in_own_process_async;
use integration_tests::rpc::request;
use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

/// Returns the line of its caller.
#[track_caller]
const fn line_of_caller() -> u32 {
    Location::caller().line()
}

/// Returns the line of its caller, as a backtrace shows it.
fn line_in_backtrace() -> u32 {
    let backtrace = Backtrace::force_capture().to_string();
    let mut lines = backtrace.lines().filter_map(|line| {
        let (_, place) = line.split_once("line_numbers.rs:")?;
        place.split(':').next()?.parse().ok()
    });
    lines.nth(1).expect(&backtrace)
}

/// The line of the last panic.
static PANIC: AtomicU32 = AtomicU32::new(0);

trait Native {
    fn call(&self, request: Request<Message>) -> impl Future<Output = Result<Response<Message>, Status>> + Send;
}

/// A service that fails if its text is empty, and otherwise replies with lines of its body.
struct Lines;

#[traced_service]
impl Native for Lines {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        assert!(!request.get_ref().text.is_empty()); // native panic
        let caller = line_of_caller(); // native caller
        std::future::ready(()).await;
        let backtrace = line_in_backtrace(); // native backtrace
        Ok(Response::new(Message::from(&*format!("{caller} {backtrace}"))))
    }
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Lines {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        assert!(!request.get_ref().text.is_empty()); // boxed panic
        let caller = line_of_caller(); // boxed caller
        std::future::ready(()).await;
        let backtrace = line_in_backtrace(); // boxed backtrace
        Ok(Response::new(Message::from(&*format!("{caller} {backtrace}"))))
    }
}

/// Returns the number of the line of this file that ends with a comment.
fn line_with(comment: &str) -> usize {
    let mut lines = include_str!("line_numbers.rs").lines();
    lines.position(|line| line.ends_with(comment)).unwrap() + 1
}

async fn assert_lines(kind: &str, call: impl AsyncFn(Request<Message>) -> Result<Response<Message>, Status>) {
    let reply = call(request("lines")).await.unwrap().into_inner().text;
    let expected = ["caller", "backtrace"].map(|place| line_with(&format!("// {kind} {place}")).to_string());
    assert_eq!(reply, expected.join(" "));
}

#[test]
fn lines_are_those_of_the_body() {
    in_own_process_async(async {
        assert_lines("native", async |request| Native::call(&Lines, request).await).await;
        assert_lines("boxed", async |request| Unary::call(&Lines, request).await).await;
        panic::set_hook(Box::new(|panic| {
            PANIC.store(panic.location().unwrap().line(), Ordering::Relaxed);
        }));
        let panicked = tokio::spawn(async { Native::call(&Lines, request("")).await.map(drop) }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(PANIC.load(Ordering::Relaxed) as usize, line_with("// native panic"));
        let panicked = tokio::spawn(async { Unary::call(&Lines, request("")).await.map(drop) }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(PANIC.load(Ordering::Relaxed) as usize, line_with("// boxed panic"));
    });
}
