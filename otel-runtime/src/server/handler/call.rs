//! The relation of a handler, or of its response stream, to the call that it serves.
//!
//! Nothing here depends on the type of the handler, so it is compiled once and not per method.

use std::task::Poll;

use http::HeaderMap;
use opentelemetry::{Key, KeyValue};
use tonic::{Code, Status};

use crate::attributes::captured_headers::{CapturedHeaders, HeaderList};
use crate::grpc::outcome::Outcome;
use crate::guard;
use crate::rpc::active_call::ActiveCall;
use crate::rpc::call::Call;
use crate::rpc::current::{self, Attached};
use crate::rpc::run;
use crate::span::MakeAttributes;

/// A handler's relation to a call.
#[derive(Debug)]
#[must_use = "the call ends when this is dropped"]
pub enum HandlerCall {
    /// The handler started the call, and ends it. `None` while the call is running, and so in the
    /// thread-local.
    Owned(Option<ActiveCall>),
    /// A layer started the call, and ends it. It is the thread's current call whenever the handler
    /// is polled.
    Layer,
    /// No call: it moved on to the response stream, or belongs to another handler.
    None,
}

impl HandlerCall {
    /// Adds the `fields` of a method to the span of the call, if it is recording.
    ///
    /// The fields are evaluated inside the call's context, as the handler is.
    pub fn with_attributes<const N: usize>(self, fields: impl FnOnce() -> [Option<KeyValue>; N]) -> Self {
        let mut fields = Some(fields);
        let attributes: MakeAttributes<'_> = &mut || {
            let made = fields.take().and_then(|fields| guard::FIELDS.run(fields));
            made.into_iter().flatten().flatten().collect()
        };
        match &self {
            HandlerCall::Owned(Some(call)) => {
                let _attached = current::attach_call(call);
                self.set_attributes(attributes);
            }
            // The call of another handler, if there is one, is part of the same RPC.
            HandlerCall::Owned(None) | HandlerCall::Layer | HandlerCall::None => current::set_attributes(attributes),
        }
        self
    }

    /// Runs the service's code inside the call. Returns its context still attached, if it is the
    /// handler's own.
    ///
    /// Never inlined: each method would have two copies.
    #[inline(never)]
    pub(super) fn run_dyn(&mut self, code: &mut dyn FnMut()) -> Attached {
        match self {
            HandlerCall::Owned(call) => return run::handler_dyn(call, code),
            HandlerCall::Layer => run::in_layer(code),
            HandlerCall::None => code(),
        }
        None
    }

    /// Captures the headers of a request whose call a layer started.
    pub(super) fn capture_request_headers(&self, headers: &HeaderMap) {
        self.capture(headers, |captured| &captured.request_headers);
    }

    /// Records what a poll of the handler returned: the headers of a response, or the end of the
    /// call. Detaches the call's context, in which it was polled.
    ///
    /// If `is_whole`, the response is one message, and ends the call, too. A call that has ended is
    /// dropped. Never inlined: each method would have a copy.
    #[inline(never)]
    pub(super) fn on_polled(
        &mut self,
        response: Poll<Result<&HeaderMap, &Status>>,
        is_whole: bool,
        attached: Attached,
    ) {
        let Poll::Ready(response) = response else {
            return;
        };
        match response {
            Ok(headers) => {
                self.capture(headers, |captured| &captured.response_headers);
                if !is_whole {
                    return;
                }
                self.finish_ok();
            }
            Err(status) => self.finish_with(status),
        }
        drop(attached);
        *self = HandlerCall::None;
    }

    /// Records that the response stream has no item left, as far as is known without polling it.
    #[cold]
    pub(super) fn on_exhausted(&mut self) {
        let _attached = match self {
            HandlerCall::Owned(Some(call)) => current::attach_call(call),
            HandlerCall::Owned(None) | HandlerCall::Layer | HandlerCall::None => None,
        };
        self.finish_ok();
    }

    /// Records that the response stream ended, with a status if it failed.
    #[inline(never)]
    pub(super) fn on_stream_end(&mut self, failure: Option<&Status>) {
        match failure {
            None => self.finish_ok(),
            Some(status) => self.finish_with(status),
        }
    }

    /// Records that the response stream of the handler's own call ended.
    #[inline(never)]
    pub(super) fn end_owned(call: &mut Option<ActiveCall>, failure: Option<&Status>) {
        let mut owned = HandlerCall::Owned(call.take());
        owned.on_stream_end(failure);
        if let HandlerCall::Owned(ended) = owned {
            // Forgets the `None`, which an assignment would drop.
            std::mem::forget(std::mem::replace(call, ended));
        }
    }

    /// Ends the call with OK, as far as the handler can tell.
    #[inline]
    pub(super) fn finish_ok(&mut self) {
        match self {
            HandlerCall::Owned(_) => self.end(Outcome::OK),
            // The layer ends the call: sending the response may still fail.
            HandlerCall::Layer => {
                current::with_recorded(|call| call.set_pending_status(Code::Ok, ""));
            }
            HandlerCall::None => {}
        }
    }

    /// Ends the call with a status that the service returned, if it has not ended yet.
    pub(super) fn finish_with(&mut self, status: &Status) {
        if self.has_ended() {
            return;
        }
        self.capture(status.metadata().as_ref(), |captured| &captured.response_trailers);
        match self {
            HandlerCall::Owned(_) => self.end(Outcome::from_status(status)),
            HandlerCall::Layer => {
                current::with_recorded(|call| call.set_pending_status(status.code(), status.message()));
            }
            HandlerCall::None => {}
        }
    }

    #[inline]
    pub(super) fn has_ended(&self) -> bool {
        match self {
            HandlerCall::Owned(_) => self.owned().is_none_or(Call::has_ended),
            HandlerCall::Layer => current::with_recorded(|call| call.has_pending_status()).unwrap_or(true),
            HandlerCall::None => true,
        }
    }

    /// Moves the call out, so that it continues elsewhere.
    #[inline]
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, HandlerCall::None)
    }

    fn set_attributes(&self, attributes: MakeAttributes<'_>) {
        match self {
            HandlerCall::Owned(_) => {
                if let Some(call) = self.owned() {
                    call.set_attributes(attributes);
                }
            }
            HandlerCall::Layer => current::set_attributes(attributes),
            HandlerCall::None => {}
        }
    }

    #[inline]
    fn owned(&self) -> Option<&Call> {
        match self {
            HandlerCall::Owned(Some(ActiveCall::Recorded(call))) => Some(call),
            _ => None,
        }
    }

    #[inline]
    fn end(&mut self, outcome: Outcome<'_>) {
        if let HandlerCall::Owned(Some(ActiveCall::Recorded(call))) = self {
            call.end(outcome);
        }
    }

    /// Captures the listed headers, except those that the layer captures.
    #[inline]
    fn capture(&self, headers: &HeaderMap, list: impl Fn(&CapturedHeaders) -> &HeaderList) {
        let handler_headers = match self {
            HandlerCall::Owned(_) => self.owned().and_then(Call::handler_headers),
            HandlerCall::Layer => current::with_recorded(|call| call.handler_headers()).flatten(),
            HandlerCall::None => None,
        };
        if let Some(listed) = handler_headers.map(&list)
            && !listed.is_empty()
        {
            self.capture_listed(listed, &list, headers);
        }
    }

    #[inline(never)]
    fn capture_listed(&self, listed: &HeaderList, list: &dyn Fn(&CapturedHeaders) -> &HeaderList, headers: &HeaderMap) {
        let layer_headers = match self {
            HandlerCall::Layer => current::with_recorded(|call| call.layer_headers()).flatten(),
            HandlerCall::Owned(_) | HandlerCall::None => None,
        };
        let is_captured = |key: &Key| layer_headers.is_some_and(|captured| list(captured).captures(key, headers));
        self.set_attributes(&mut || {
            let mut attributes = listed.attributes(headers);
            attributes.retain(|attribute| !is_captured(&attribute.key));
            attributes
        });
    }
}
