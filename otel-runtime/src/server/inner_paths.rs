//! The paths on which a layer expects a stricter one inside of it.
//!
//! A span cannot leave the trace that it has joined. So a layer that trusts its callers waits with
//! the calls that an inner one may distrust, once it has met such an inner layer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

/// Maximum number of paths that a layer keeps.
const MAX_PATHS: usize = 2000;

/// Number of restarted calls after which a layer waits with every call, whatever its path.
///
/// Each leaks a span. Where paths tell nothing, since something else decides what is inside, their
/// number would have no bound.
const MAX_RESTARTS: usize = 64;

/// The paths of requests that a layer has met, and whether an inner layer meets them, too.
#[derive(Debug, Default)]
pub(super) struct InnerPaths {
    /// Number of calls that an inner layer has restarted, and at least 1 if one has met any call.
    restarts: AtomicUsize,
    /// Sorted by path.
    paths: RwLock<Vec<(Box<str>, bool)>>,
}

impl InnerPaths {
    /// Returns `true` if an inner layer may be stricter about a request.
    #[inline]
    pub(super) fn may_meet(&self, path: &str) -> bool {
        let restarts = self.restarts.load(Ordering::Relaxed);
        restarts > 0 && self.lookup(restarts, path)
    }

    #[cold]
    fn lookup(&self, restarts: usize, path: &str) -> bool {
        if restarts >= MAX_RESTARTS {
            return true;
        }
        let paths = self.paths.read().unwrap_or_else(PoisonError::into_inner);
        find(&paths, path).map_or(true, |at| paths[at].1)
    }

    /// Records whether a stricter inner layer has met a request that reached a service.
    #[cold]
    pub(super) fn learn(&self, path: &str, has_inner: bool) {
        let mut paths = self.paths.write().unwrap_or_else(PoisonError::into_inner);
        match find(&paths, path) {
            Ok(at) => paths[at].1 |= has_inner,
            Err(at) if paths.len() < MAX_PATHS => paths.insert(at, (Box::from(path), has_inner)),
            Err(_) => {}
        }
        self.restarts.fetch_max(usize::from(has_inner), Ordering::Relaxed);
    }

    /// Records that an inner layer has restarted a call.
    #[cold]
    pub(super) fn add_restart(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the index of a path, or the one at which it is missing.
fn find(paths: &[(Box<str>, bool)], path: &str) -> Result<usize, usize> {
    paths.binary_search_by(|(known, _)| (**known).cmp(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_learned_until_they_have_told_too_little() {
        let paths = InnerPaths::default();
        paths.learn("/plain", false);
        assert!(!paths.may_meet("/plain") && !paths.may_meet("/other"));
        paths.add_restart();
        assert!(!paths.may_meet("/plain") && paths.may_meet("/other"));
        for _ in 1..MAX_RESTARTS {
            paths.add_restart();
        }
        assert!(paths.may_meet("/plain"));
    }
}
