//! The place of an RPC in the service's own future or stream. Nothing here knows the type of either, so it is compiled once, not for each method.

use http::HeaderMap;
use tonic::Status;

use super::call::Call;
use crate::status::Outcome;

/// Empty once the RPC has moved on, and where it is another handler's.
#[derive(Debug)]
pub(super) struct Slot(Option<Call>);

impl Slot {
    pub(super) fn new(call: Option<Call>) -> Self {
        Slot(call)
    }

    pub(super) fn get(&self) -> Option<&Call> {
        self.0.as_ref()
    }

    /// Runs the service's code inside the RPC.
    pub(super) fn run(&mut self, run: &mut dyn FnMut()) {
        match &mut self.0 {
            Some(call) => call.enter(run),
            None => run(),
        }
    }

    /// Takes up what the handler returned: the headers of a response, or the end of the RPC.
    pub(super) fn returned(&mut self, result: Result<&HeaderMap, &Status>) {
        match (&mut self.0, result) {
            (Some(call), Ok(headers)) => call.respond(headers),
            (Some(call), Err(status)) => call.fail(status),
            (None, _) => {}
        }
    }

    /// Ends the RPC, if it has not ended yet.
    pub(super) fn end(&mut self, outcome: Outcome<'_>) {
        if let Some(call) = &mut self.0 {
            call.end(outcome);
        }
    }

    /// Ends the RPC with a status that the service returned, if it has not ended yet.
    pub(super) fn fail(&mut self, status: &Status) {
        self.returned(Err(status));
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.as_ref().is_none_or(Call::has_ended)
    }

    /// Lets the RPC go on elsewhere.
    pub(super) fn leave(&mut self) -> Self {
        Slot(self.0.take())
    }
}
