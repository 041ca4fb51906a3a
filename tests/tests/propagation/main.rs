//! Trace context and baggage: from the caller to the handler, its tasks, and the next service.

mod formats;
mod handler_context;
mod incoming;
mod outgoing;
mod propagators;
mod random_trace_ids;
mod sdk_propagators;
mod tasks;
mod w3c_baggage;
mod w3c_trace_context;
