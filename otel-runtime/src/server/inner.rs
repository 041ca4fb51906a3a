//! The layers inside a layer, as far as it has met them.
//!
//! A span cannot leave the trace that it has joined. So a layer that trusts its callers waits with
//! the calls that an inner one may distrust, once it has met such an inner layer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// Maximum number of paths that a layer keeps.
const MAX_PATHS: usize = 2000;

/// The paths of requests that a layer has met, and whether an inner layer meets them, too.
#[derive(Debug, Default)]
pub(super) struct InnerLayers {
    /// Whether an inner layer has met any request.
    exist: AtomicBool,
    paths: RwLock<HashMap<Box<str>, bool>>,
}

impl InnerLayers {
    /// Returns `true` if an inner layer may be stricter about a request.
    #[inline]
    pub(super) fn may_meet(&self, path: &str) -> bool {
        self.exist.load(Ordering::Relaxed) && self.lookup(path)
    }

    #[cold]
    fn lookup(&self, path: &str) -> bool {
        let paths = self.paths.read().unwrap_or_else(PoisonError::into_inner);
        paths.get(path).copied().unwrap_or(true)
    }

    /// Records whether a stricter inner layer has met a request that reached a service.
    #[cold]
    pub(super) fn learn(&self, path: &str, has_inner: bool) {
        let mut paths = self.paths.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = paths.get_mut(path) {
            *known |= has_inner;
        } else if paths.len() < MAX_PATHS {
            paths.insert(Box::from(path), has_inner);
        }
        self.exist.fetch_or(has_inner, Ordering::Relaxed);
    }
}
