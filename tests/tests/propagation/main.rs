//! Trace context and baggage: from the caller to the handler, its tasks, and the next service.

mod handler_context;
mod incoming;
mod outgoing;
mod propagators;
mod tasks;
