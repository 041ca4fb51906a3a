//! Faults of handlers, connections, user-provided functions and the SDK never cost an RPC.

mod custom_providers;
mod global_providers;
mod injected;
mod logged_once;
mod sdk_parts;
mod subscriber;
mod thread_end;
mod user_functions;
