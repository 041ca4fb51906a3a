//! The future of a handler, inside its RPC.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use http::HeaderMap;
use opentelemetry::KeyValue;
use pin_project_lite::pin_project;
use tonic::{Response, Status};

use super::running;
use super::slot::Slot;
use super::stream::TracedStream;
use crate::panic;

/// What a handler returns.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a gRPC method returns",
    label = "expected `Result<tonic::Response<T>, tonic::Status>`"
)]
pub trait Reply: Sized {
    /// [`Returning<Self>`]. Named from here, so that where `Self` is no reply the compiler says that and nothing more.
    type Returning: From<Returning<Self>>;
}

impl<T> Reply for Result<Response<T>, Status> {
    type Returning = Returning<Self>;
}

/// Runs handlers that return `R`. They start their RPC by themselves, with [`Rpc::start`](super::Rpc::start), before they do anything else.
#[derive(Debug)]
pub struct Returning<R>(PhantomData<fn() -> R>);

impl<R> Returning<R> {
    pub(super) fn new() -> Self {
        Returning(PhantomData)
    }
}

/// What `#[async_trait]` makes of a method returns this.
///
/// The future is boxed here, where the compiler sees once, and not in each method, that it is a future and `Send`: a service of 100 methods compiles in 5 % less time.
type Boxed<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

impl<S: Stream> Returning<Result<Response<S>, Status>> {
    /// Runs the handler of an RPC whose response is a stream.
    #[allow(clippy::unused_self)]
    pub fn respond_stream<'a, F>(self, handler: F) -> Boxed<'a, Result<Response<TracedStream<S>>, Status>>
    where
        F: Future<Output = Result<Response<S>, Status>> + Send + 'a,
    {
        Box::pin(StreamHandler::new(handler))
    }
}

/// An RPC that has started, and is what this thread runs.
#[derive(Debug)]
pub struct Started;

#[allow(clippy::unused_self)]
impl Started {
    /// Adds attributes to the span, if it records.
    pub fn with_attributes<const N: usize>(self, attributes: impl FnOnce() -> [Option<KeyValue>; N]) {
        running::set_attributes(|| panic::FIELDS.answer(attributes).into_iter().flatten().flatten());
    }
}

/// A response stream without a name, as the traits that `generate_default_stubs` makes return them.
type BoxStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send + 'static>>;

/// Runs the handler of an RPC whose response is one message.
///
/// A trait, so that the inherent method of the same name, which is for boxed streams, goes before it. That way the response's type decides, whatever alias hides it.
pub trait Respond {
    /// What the handler returns.
    type Reply;

    /// Runs `handler` as the RPC.
    fn respond<'a, F>(self, handler: F) -> Boxed<'a, Self::Reply>
    where
        F: Future<Output = Self::Reply> + Send + 'a;
}

impl<T> Respond for Returning<Result<Response<T>, Status>> {
    type Reply = Result<Response<T>, Status>;

    fn respond<'a, F>(self, handler: F) -> Boxed<'a, Self::Reply>
    where
        F: Future<Output = Self::Reply> + Send + 'a,
    {
        Box::pin(Handler {
            entry: Entry::new(),
            future: handler,
            exit: Exit::new(),
        })
    }
}

impl<T: 'static> Returning<Result<Response<BoxStream<T>>, Status>> {
    /// Runs the handler of an RPC whose response is a boxed stream, and boxes it again, traced.
    #[allow(clippy::unused_self)]
    pub fn respond<'a, F>(self, handler: F) -> Boxed<'a, Result<Response<BoxStream<T>>, Status>>
    where
        F: Future<Output = Result<Response<BoxStream<T>>, Status>> + Send + 'a,
    {
        Box::pin(async {
            let response = StreamHandler::new(handler).await?;
            Ok(response.map(|stream| Box::pin(stream) as BoxStream<T>))
        })
    }
}

pin_project! {
    /// The future of a handler whose RPC ends with it.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    struct Handler<F> {
        // In this order they are dropped.
        entry: Entry,
        #[pin]
        future: F,
        exit: Exit,
    }
}

impl<T, F> Future for Handler<F>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let mut polled = Poll::Pending;
        this.entry.run(&mut || polled = this.future.as_mut().poll(cx));
        this.entry.has_run(this.exit, returned(&polled));
        if polled.is_ready() {
            // A failure has ended it already.
            this.entry.slot.succeed();
        }
        polled
    }
}

pin_project! {
    /// The future of a handler whose RPC ends with its response stream.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    struct StreamHandler<F> {
        // In this order they are dropped.
        entry: Entry,
        #[pin]
        future: F,
        exit: Exit,
    }
}

impl<F> StreamHandler<F> {
    fn new(handler: F) -> Self {
        StreamHandler {
            entry: Entry::new(),
            future: handler,
            exit: Exit::new(),
        }
    }
}

impl<S, F> Future for StreamHandler<F>
where
    S: Stream,
    F: Future<Output = Result<Response<S>, Status>>,
{
    type Output = Result<Response<TracedStream<S>>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut polled = Poll::Pending;
        this.entry.run(&mut || polled = this.future.as_mut().poll(cx));
        this.entry.has_run(this.exit, returned(&polled));
        let response = ready!(polled)?;
        let call = this.entry.slot.leave();
        Poll::Ready(Ok(response.map(|stream| TracedStream::new(call, stream))))
    }
}

/// What a handler returned, as far as an RPC is concerned with it. `None` where it has not yet.
fn returned<T>(polled: &Poll<Result<Response<T>, Status>>) -> Option<Result<&HeaderMap, &Status>> {
    match polled {
        Poll::Ready(result) => Some(result.as_ref().map(|response| response.metadata().as_ref())),
        Poll::Pending => None,
    }
}

/// The RPC, in front of its handler. Where a handler that has not returned is dropped, this is dropped first, and makes the RPC's context the current one.
#[derive(Debug)]
struct Entry {
    slot: Slot,
    has_started: bool,
    is_needed: bool,
}

impl Entry {
    fn new() -> Self {
        Entry {
            slot: Slot::Empty,
            has_started: false,
            is_needed: false,
        }
    }
}

// Neither knows what the handler returns, so that they are compiled once, not for each method.
impl Entry {
    /// Runs the handler inside its RPC, which it starts itself when it is polled for the first time.
    fn run(&mut self, run: &mut dyn FnMut()) {
        if self.has_started {
            self.slot.run(run);
        } else {
            self.has_started = true;
            self.slot = running::run_to_start(run);
        }
    }

    /// The handler has been polled.
    fn has_run(&mut self, exit: &mut Exit, returned: Option<Result<&HeaderMap, &Status>>) {
        // An `async` block that has returned has dropped all that it had.
        let is_needed = returned.is_none() && self.slot.is_own();
        self.is_needed = is_needed;
        exit.is_needed = is_needed;
        if let Some(returned) = returned {
            self.slot.returned(returned);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_needed
            && let Slot::Own(running) = &mut self.slot
            && let Some(running) = running.take()
        {
            running::enter(running);
        }
    }
}

/// Behind the handler. It is dropped last, and ends the RPC.
#[derive(Debug)]
struct Exit {
    is_needed: bool,
}

impl Exit {
    fn new() -> Self {
        Exit { is_needed: false }
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        if self.is_needed {
            running::exit_from_drop();
        }
    }
}
