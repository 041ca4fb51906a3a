//! Addresses for servers that cannot tell their port, and for callers that reach nobody.

use std::net::{SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Returns an address of the loopback interface that nobody listens on.
///
/// The system must not give the port to anyone else meanwhile: to another server of the tests, or
/// to a client's connection. So the port is below those that it gives by itself (by default, on
/// Linux), and each call in a process returns another one.
///
/// # Panics
///
/// Panics if no port is free.
#[must_use]
pub fn free_address() -> SocketAddr {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    // Ports of processes whose IDs follow each other are not close.
    let start = process::id().wrapping_mul(101);
    for _ in 0..COUNT {
        let number = start.wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % COUNT).unwrap();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
    panic!("no port is free")
}
