//! Propagates the current context into tasks and threads.
//!
//! The context of an RPC, with its span and its baggage, is current in the handler. A task or
//! thread that the handler starts begins with an empty context. Spans there start new traces, and
//! the baggage is lost:
//!
//! ```
//! use opentelemetry::{Context, KeyValue, baggage::BaggageExt};
//! use otel_runtime::task;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), tokio::task::JoinError> {
//! # let _guard = Context::current_with_baggage([KeyValue::new("user", "ada")]).attach();
//! let user = || Context::map_current(|context| context.baggage().get("user").map(ToString::to_string));
//!
//! // In a handler, whose caller sent the baggage `user=ada`:
//! assert_eq!(tokio::spawn(async move { user() }).await?, None);
//! # #[cfg(feature = "spawn")]
//! assert_eq!(task::spawn(async move { user() }).await?.as_deref(), Some("ada"));
//! # Ok(())
//! # }
//! ```
//!
//! [`spawn`] and [`spawn_blocking`] are tokio's functions of these names, with the context
//! propagated. They need the Cargo feature `spawn`. For a `JoinSet`, a `LocalSet`, a thread or a
//! thread pool, wrap the future in [`in_current_context`], or the closure in
//! [`in_current_context_fn`].
//!
//! Each of these functions captures OpenTelemetry's current context and `tracing`'s current span.
//! Both are current whenever the task is polled, and while it is dropped.
//!
//! The RPC does not wait for the task: a span that the task starts may end after the RPC's. A
//! `tracing` span stays open until the last task that captured it has ended, and so does the
//! OpenTelemetry span that a bridge creates from it.

#![cfg_attr(
    not(feature = "spawn"),
    doc = "

[`spawn`]: https://docs.rs/otel-runtime/latest/otel_runtime/task/fn.spawn.html
[`spawn_blocking`]: https://docs.rs/otel-runtime/latest/otel_runtime/task/fn.spawn_blocking.html
"
)]

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use opentelemetry::Context;
use pin_project_lite::pin_project;
use tracing::Span;

use crate::rpc::current;
use crate::rpc::current_method::current_method;
use crate::rpc::method_scope;

/// Spawns a future as [`tokio::spawn`] does, in the current context.
///
/// ```
/// use otel_runtime::task;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), tokio::task::JoinError> {
/// // In a handler. The log record belongs to the trace of its RPC:
/// let task = task::spawn(async {
///     // …
///     tracing::info!("the report is written");
///     42
/// });
/// assert_eq!(task.await?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// Panics outside of a tokio runtime, as [`tokio::spawn`] does.
#[cfg(feature = "spawn")]
#[track_caller]
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(in_current_context(future))
}

/// Runs a closure as [`tokio::task::spawn_blocking`] does, in the current context.
///
/// # Panics
///
/// Panics outside of a tokio runtime, as [`tokio::task::spawn_blocking`] does.
#[cfg(feature = "spawn")]
#[track_caller]
pub fn spawn_blocking<T, F>(work: F) -> tokio::task::JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tokio::task::spawn_blocking(in_current_context_fn(work))
}

/// Wraps a future so that it is polled in the context that is current now.
///
/// ```
/// use otel_runtime::task::in_current_context;
/// use tokio::task::JoinSet;
///
/// # #[tokio::main]
/// # async fn main() {
/// let mut tasks = JoinSet::new();
/// for shard in 0..4 {
///     tasks.spawn(in_current_context(async move { shard * shard }));
/// }
/// assert_eq!(tasks.join_all().await.into_iter().sum::<u32>(), 14);
/// # }
/// ```
pub fn in_current_context<F: Future>(future: F) -> WithContext<F> {
    WithContext {
        captured: CapturedContext::current(),
        future: Some(future),
    }
}

/// Wraps a closure so that it runs in the context that is current now.
///
/// ```
/// use otel_runtime::task::in_current_context_fn;
///
/// let thread = std::thread::spawn(in_current_context_fn(|| 6 * 7));
/// assert_eq!(thread.join().unwrap(), 42);
/// ```
pub fn in_current_context_fn<T, F: FnOnce() -> T>(work: F) -> impl FnOnce() -> T + use<T, F> {
    let captured = CapturedContext::current();
    move || captured.run(work)
}

pin_project! {
    /// The future that [`in_current_context`] returns.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct WithContext<F> {
        captured: CapturedContext,
        // `None` only while it is being dropped.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for WithContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.captured.run(|| this.future.set(None));
        }
    }
}

impl<F: Future> Future for WithContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.future.as_pin_mut() {
            Some(future) => this.captured.run(|| future.poll(cx)),
            None => Poll::Pending,
        }
    }
}

/// The OpenTelemetry context, the `tracing` span and the method that were current at a call.
#[derive(Debug)]
struct CapturedContext {
    context: Context,
    span: Span,
    method: Option<&'static str>,
}

impl CapturedContext {
    fn current() -> Self {
        CapturedContext {
            context: Context::current(),
            span: Span::current(),
            method: current_method(),
        }
    }

    fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        // Attach the context last: entering a `tracing` span may attach the context that was
        // current when the span was created.
        let _span = self.span.enter();
        let _context = current::attach(&self.context);
        method_scope::run_in(self.method, work)
    }
}
