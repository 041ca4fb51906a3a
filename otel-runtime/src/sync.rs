//! What threads share the counts of RPCs by: the standard library's. `tests/tests/interleavings.rs` compiles `points.rs` with a model of them in this place, which goes through every order of events.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
pub(crate) use std::sync::{Mutex, OnceLock};
