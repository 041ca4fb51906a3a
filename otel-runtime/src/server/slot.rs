//! The place of an RPC in the service's own future or stream. Nothing here knows the type of either, so it is compiled once, not for each method.

use http::HeaderMap;
use opentelemetry::{Key, KeyValue};
use tonic::{Code, Status};

use super::running::{self, Running};
use crate::call::Call;
use crate::capture::{Captured, Names};
use crate::status::Outcome;

/// What a handler or a response stream has to do with an RPC.
#[derive(Debug)]
pub(super) enum Slot {
    /// It is the handler's own. Elsewhere for as long as the thread runs it.
    Own(Option<Running>),
    /// A layer began it, and ends it. It is what the thread runs whenever the handler does.
    Joined,
    /// It has moved on; or there is none, or it is another handler's.
    Empty,
}

impl Slot {
    /// Runs the service's code inside the RPC.
    #[inline]
    pub(super) fn run(&mut self, run: &mut dyn FnMut()) {
        match self {
            Slot::Own(running) => running::run(running, run),
            Slot::Joined | Slot::Empty => run(),
        }
    }

    /// The same, compiled for what it runs.
    #[inline]
    pub(super) fn run_alone<T>(&mut self, run: impl FnOnce() -> T) -> T {
        match self {
            Slot::Own(running) => running::run_alone(running, run),
            Slot::Joined | Slot::Empty => run(),
        }
    }

    /// Whether it is the handler's own RPC.
    #[inline]
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Slot::Own(_))
    }

    /// Ends the RPC of a handler that has panicked.
    pub(super) fn panic(&mut self, message: &str) {
        self.end(Outcome::panicked(message));
    }

    /// Takes up the headers of the request that an RPC has which a layer began.
    pub(super) fn joined(&self, headers: &HeaderMap) {
        self.take_up(|captured| &captured.request_headers, headers);
    }

    /// Takes up what the handler returned: the headers of a response, or the end of the RPC.
    #[inline]
    pub(super) fn returned(&mut self, result: Result<&HeaderMap, &Status>) {
        match result {
            Ok(headers) => self.take_up(|captured| &captured.response_headers, headers),
            Err(status) => self.fail(status),
        }
    }

    /// The RPC has come to its end, as far as the handler can tell.
    #[inline]
    pub(super) fn succeed(&mut self) {
        match self {
            Slot::Own(_) => self.end(Outcome::OK),
            // It may still fail on its way out.
            Slot::Joined => {
                running::with_call(|call| call.foresee(Code::Ok, ""));
            }
            Slot::Empty => {}
        }
    }

    /// The response stream has ended, with this status if it failed: tonic sends no further item.
    #[inline(never)]
    pub(super) fn stream_ended(&mut self, failure: Option<&Status>) {
        match failure {
            None => self.succeed(),
            Some(status) => self.fail(status),
        }
    }

    /// Ends the RPC with a status that the service returned, if it has not ended yet.
    pub(super) fn fail(&mut self, status: &Status) {
        if self.has_ended() {
            return;
        }
        self.take_up(|captured| &captured.response_trailers, status.metadata().as_ref());
        match self {
            Slot::Own(_) => self.end(Outcome::returned(status)),
            Slot::Joined => {
                running::with_call(|call| call.foresee(status.code(), status.message()));
            }
            Slot::Empty => {}
        }
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Slot::Own(_) => self.call().is_none_or(Call::has_ended),
            Slot::Joined => running::with_call(|call| call.is_foreseen()).unwrap_or(true),
            Slot::Empty => true,
        }
    }

    /// Lets the RPC go on elsewhere.
    #[inline]
    pub(super) fn leave(&mut self) -> Self {
        std::mem::replace(self, Slot::Empty)
    }

    /// Adds attributes to the span of the RPC, if it records.
    fn set_attributes<I>(&self, make: impl FnOnce() -> I)
    where
        I: IntoIterator<Item = KeyValue>,
    {
        match self {
            Slot::Own(_) => {
                if let Some(call) = self.call() {
                    call.set_attributes(make);
                }
            }
            Slot::Joined => running::set_attributes(make),
            Slot::Empty => {}
        }
    }

    #[inline]
    fn call(&self) -> Option<&Call> {
        match self {
            Slot::Own(Some(Running::Call(call))) => Some(call),
            _ => None,
        }
    }

    #[inline]
    fn end(&mut self, outcome: Outcome<'_>) {
        if let Slot::Own(Some(Running::Call(call))) = self {
            call.end(outcome);
        }
    }

    /// Makes attributes of the headers that are listed, without those that the layer has taken up.
    #[inline]
    fn take_up(&self, list: impl Fn(&Captured) -> &Names, headers: &HeaderMap) {
        let handler = match self {
            Slot::Own(_) => self.call().and_then(Call::handler),
            Slot::Joined => running::with_call(|call| call.handler()).flatten(),
            Slot::Empty => None,
        };
        if let Some(listed) = handler.map(&list)
            && !listed.is_empty()
        {
            self.take_up_listed(listed, &list, headers);
        }
    }

    #[inline(never)]
    fn take_up_listed(&self, listed: &Names, list: &dyn Fn(&Captured) -> &Names, headers: &HeaderMap) {
        let layer = match self {
            Slot::Joined => running::with_call(|call| call.layer()).flatten(),
            Slot::Own(_) | Slot::Empty => None,
        };
        let is_taken = |key: &Key| layer.is_some_and(|layer| list(layer).has(key));
        self.set_attributes(|| {
            let attributes = listed.attributes(headers);
            attributes
                .filter(|attribute| !is_taken(&attribute.key))
                .collect::<Vec<_>>()
        });
    }
}
