//! The metrics: names, values, the providers that receive them, and exact counts under load.

mod client_and_server_agree;
mod each_rpc_recorded_once;
mod global_providers_replaced;
mod instrumentation;
mod legacy_names;
mod message_sizes;
mod server;
