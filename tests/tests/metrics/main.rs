//! The metrics: names, values, the providers that receive them, and exact counts under load.

mod client_and_server_agree;
mod each_rpc_recorded_once;
mod global_providers_replaced;
mod instrumentation;
mod legacy_names;
mod message_counts;
mod message_sizes;
mod metric_attributes;
mod metric_series;
mod recorded_in_context;
mod server;

/// A deterministic pseudo-random number generator (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
