//! The clocks of this host: the standard library's, or those of a browser, where it has none.

use std::time::SystemTime;

#[cfg(not(target_family = "wasm"))]
pub(crate) use std::time::Instant;

/// The clock of deadlines: tokio's, because tonic's timers follow it. A test or a simulation may
/// stop it, and advance it without waiting. Otherwise it is the system's.
#[cfg(not(target_family = "wasm"))]
pub(crate) use tokio::time::Instant as TimerInstant;
#[cfg(target_family = "wasm")]
pub(crate) use web_time::{Instant, Instant as TimerInstant};

/// Returns the time of day.
#[cfg(not(target_family = "wasm"))]
#[inline]
pub(crate) fn time_of_day() -> SystemTime {
    SystemTime::now()
}

#[cfg(target_family = "wasm")]
pub(crate) fn time_of_day() -> SystemTime {
    let since_epoch = web_time::SystemTime::now().duration_since(web_time::UNIX_EPOCH);
    SystemTime::UNIX_EPOCH + since_epoch.unwrap_or_default()
}
