//! Synchronization primitives of the metrics, re-exported from the standard library.
//!
//! `tests/tests/interleavings.rs` compiles `metrics/series.rs` with loom's primitives in place of
//! this module, to explore every interleaving of threads.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
pub(crate) use std::sync::{Mutex, OnceLock};
