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
    /// The details of running spans.
    pub(super) details: Pool,
    /// The spans that ended inside of running ones, and log lines.
    pub(super) contents: Pool,
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
            details: Pool::new(percent(8)),
            contents: Pool::new(percent(7)),
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

    /// Reserves bytes in the first quarters of the pool, or returns `false` if there are not as
    /// many.
    pub(super) fn reserve_within(&self, quarters: usize, bytes: usize) -> bool {
        let is_within = self.used.load(Ordering::Relaxed).saturating_add(bytes) <= self.limit / 4 * quarters;
        // Threads may reserve at the same time, so that this is a little inexact.
        (quarters >= 4 || is_within) && self.reserve(bytes)
    }

    /// Takes bytes, whether there are as many or not.
    pub(super) fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns whether more than these quarters of the pool are used.
    #[inline]
    pub(super) fn is_beyond(&self, quarters: usize) -> bool {
        self.used.load(Ordering::Relaxed) > self.limit / 4 * quarters
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
        assert!(!pool.is_beyond(2) && pool.is_beyond(1));
        for (quarters, bytes, expected) in [(2, 11, false), (2, 10, true), (3, usize::MAX, false), (4, 50, true)] {
            assert_eq!(pool.reserve_within(quarters, bytes), expected, "{quarters} {bytes}");
        }
    }

    #[test]
    fn the_parts_are_the_whole() {
        let budget = Budget::new(DEFAULT_LIMIT);
        let pools = [&budget.rows, &budget.details, &budget.contents, &budget.samples];
        let parts: usize = pools.iter().map(|pool| pool.limit).sum();
        let whole = parts + budget.entries + budget.windows;
        assert!((DEFAULT_LIMIT - 500..=DEFAULT_LIMIT).contains(&whole), "{whole}");
    }
}
