//! Carries the context into tasks and threads.
//!
//! The context of an RPC (its span, so its trace, and its baggage) is current in the handler. It is not current in a task or on a thread that the handler starts: these begin with nothing. What
//! happens there belongs to no trace, or to one of its own, and the baggage is lost:
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
//! [`spawn`] and [`spawn_blocking`], with the cargo feature `spawn`, are tokio's functions of these names, with the context. Whatever else runs futures or closures takes them
//! from [`in_current_context`] and [`in_current_context_fn`]: a `JoinSet`, a `LocalSet`, a thread, a pool of threads.
//!
//! What is carried on is what is current where that is called: OpenTelemetry's context and `tracing`'s span. They are current whenever the task runs, and not while it waits, and also while it is dropped. The RPC
//! does not wait for the task: a span that is made there may well end after the RPC's. A `tracing` span on the other hand lasts until the last task has ended that it was carried into; so does the OpenTelemetry span
//! that is made of it.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use opentelemetry::Context;
use pin_project_lite::pin_project;
use tracing::Span;

/// [`tokio::spawn`], in the current context.
///
/// ```
/// use otel_runtime::task;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), tokio::task::JoinError> {
/// // In a handler, whose trace the log record then belongs to:
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
/// Outside of a tokio runtime, as [`tokio::spawn`] does.
#[cfg(feature = "spawn")]
#[track_caller]
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(in_current_context(future))
}

/// [`tokio::task::spawn_blocking`], in the current context.
///
/// # Panics
///
/// Outside of a tokio runtime, as [`tokio::task::spawn_blocking`] does.
#[cfg(feature = "spawn")]
#[track_caller]
pub fn spawn_blocking<T, F>(work: F) -> tokio::task::JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tokio::task::spawn_blocking(in_current_context_fn(work))
}

/// A future that runs in the context that is current now, wherever it is polled.
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
pub fn in_current_context<F: Future>(future: F) -> InContext<F> {
    InContext {
        carried: Carried::current(),
        future: Some(future),
    }
}

/// A closure that runs in the context that is current now, wherever it is called.
///
/// ```
/// use otel_runtime::task::in_current_context_fn;
///
/// let thread = std::thread::spawn(in_current_context_fn(|| 6 * 7));
/// assert_eq!(thread.join().unwrap(), 42);
/// ```
pub fn in_current_context_fn<T, F: FnOnce() -> T>(work: F) -> impl FnOnce() -> T + use<T, F> {
    let carried = Carried::current();
    move || carried.run(work)
}

pin_project! {
    /// What [`in_current_context`] returns.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InContext<F> {
        carried: Carried,
        // Only dropping takes it.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InContext<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.carried.run(|| this.future.set(None));
        }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.future.as_pin_mut() {
            Some(future) => this.carried.run(|| future.poll(cx)),
            None => Poll::Pending,
        }
    }
}

/// What was current.
#[derive(Debug)]
struct Carried {
    context: Context,
    span: Span,
}

impl Carried {
    fn current() -> Self {
        Carried {
            context: Context::current(),
            span: Span::current(),
        }
    }

    fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        // In this order: a `tracing` span that is entered may bring a context of its own, of when it began.
        let _span = self.span.enter();
        let _context = self.context.clone().attach();
        work()
    }
}
