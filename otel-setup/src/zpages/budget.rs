//! The division of the memory that the pages may take.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The default of the limit, in bytes.
pub(crate) const DEFAULT_LIMIT: usize = 2 * 1024 * 1024;

/// The parts of the limit. Each is used up on its own, so that a flood of one kind leaves the
/// others their room.
#[derive(Debug)]
pub(super) struct Budget {
    /// The rows: the names of spans, with their counts.
    pub(super) rows: Pool,
    /// The entries of running spans.
    pub(super) entries: usize,
    /// The attributes of running spans, the spans that ended inside, and log lines.
    pub(super) details: Pool,
    /// The samples of ended spans.
    pub(super) samples: Pool,
    /// The durations of the last hour.
    pub(super) windows: usize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        let percent = |share: usize| limit / 100 * share;
        Budget {
            rows: Pool::new(percent(30)),
            entries: percent(20),
            details: Pool::new(percent(15)),
            samples: Pool::new(percent(15)),
            windows: percent(20),
        }
    }
}

/// A number of bytes that can be reserved.
#[derive(Debug)]
pub(super) struct Pool {
    limit: usize,
    used: AtomicUsize,
}

impl Pool {
    pub(super) fn new(limit: usize) -> Self {
        Pool {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Reserves bytes, or returns `false` if there are not as many.
    #[inline]
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    /// Takes bytes, whether there are as many or not.
    pub(super) fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_can_be_reserved_up_to_the_limit() {
        let pool = Pool::new(100);
        assert!(pool.reserve(60));
        assert!(!pool.reserve(41));
        assert!(pool.reserve(40));
        pool.release(60);
        assert!(!pool.reserve(61));
        assert!(!pool.reserve(usize::MAX));
        assert_eq!(pool.used(), 40);
    }

    #[test]
    fn the_parts_are_the_whole() {
        let budget = Budget::new(DEFAULT_LIMIT);
        let pools = [&budget.rows, &budget.details, &budget.samples];
        let parts: usize = pools.iter().map(|pool| pool.limit).sum();
        let whole = parts + budget.entries + budget.windows;
        assert!((DEFAULT_LIMIT - 500..=DEFAULT_LIMIT).contains(&whole), "{whole}");
    }
}
