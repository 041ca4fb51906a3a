//! Waiting for programs that do not notify anyone.

use std::thread;
use std::time::{Duration, Instant};

use integration_tests::server::TIMEOUT;

/// Looks until something is there, and returns it.
///
/// If it is not there yet, `look` returns an error that tells what is there instead.
///
/// # Panics
///
/// Panics with the last error if it is not there in time.
pub fn until_found<T>(mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) => assert!(begun.elapsed() < TIMEOUT, "{instead}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}
