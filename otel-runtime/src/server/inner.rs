//! Layers around layers: what an inner one says of an RPC that an outer one has met first.
//!
//! A span cannot leave the trace that it has joined. So if some layer of the program distrusts its
//! callers, a layer that trusts them waits with the first call of each path: an inner layer may
//! know better. What it learns by that holds for the calls that follow.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

/// Number of layers of this program that distrust callers.
static PUBLIC_LAYERS: AtomicUsize = AtomicUsize::new(0);

/// Maximum number of paths that a layer keeps.
const MAX_PATHS: usize = 2000;

/// Records that a layer distrusts its callers.
pub(super) fn add_public_layer() {
    PUBLIC_LAYERS.fetch_add(1, Ordering::Relaxed);
}

/// The paths of requests that a layer has met, and whether an inner layer meets them, too.
#[derive(Debug, Default)]
pub(super) struct InnerLayers(RwLock<HashMap<Box<str>, bool>>);

impl InnerLayers {
    /// Returns `true` if an inner layer may distrust the caller of a request.
    ///
    /// `is_public` tells whether this layer is one of those that distrust callers.
    #[inline]
    pub(super) fn may_meet(&self, path: &str, is_public: bool) -> bool {
        PUBLIC_LAYERS.load(Ordering::Relaxed) > usize::from(is_public) && self.lookup(path)
    }

    #[cold]
    fn lookup(&self, path: &str) -> bool {
        let paths = self.0.read().unwrap_or_else(PoisonError::into_inner);
        paths.get(path).copied().unwrap_or(true)
    }

    /// Records whether an inner layer has met a request that reached a service.
    #[cold]
    pub(super) fn learn(&self, path: &str, has_inner: bool) {
        let mut paths = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = paths.get_mut(path) {
            *known |= has_inner;
        } else if paths.len() < MAX_PATHS {
            paths.insert(Box::from(path), has_inner);
        }
    }
}
