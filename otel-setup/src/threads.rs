//! Starts threads.

use std::io;
use std::thread::{self, JoinHandle};

/// Starts a thread. A box, since each type of function would compile the code of threads anew.
pub(crate) fn spawn(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
