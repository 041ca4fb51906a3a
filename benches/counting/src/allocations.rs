//! The system's allocator, with a count of allocations, and of what is alive.
//!
//! The functions are not inlined, so that callgrind sees them. The guard subtracts their cost,
//! which depends on the layout of the heap.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The part of a function's name by which callgrind's output shows the allocator.
pub(crate) const FUNCTIONS: &str = "counting::allocations::system::";

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);
static FREED_BYTES: AtomicU64 = AtomicU64::new(0);

/// Returns the number of allocations since the start, and their bytes. Each growth counts as
/// another.
#[must_use]
pub fn so_far() -> (u64, u64) {
    (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed))
}

/// Returns the number of allocations that are alive, and their bytes.
#[must_use]
pub fn alive() -> (u64, u64) {
    let (allocations, bytes) = so_far();
    (allocations - FREED.load(Relaxed), bytes - FREED_BYTES.load(Relaxed))
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(size: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    BYTES.fetch_add(size as u64, Relaxed);
}

fn count_freed(size: usize) {
    FREED.fetch_add(1, Relaxed);
    FREED_BYTES.fetch_add(size as u64, Relaxed);
}

mod system {
    use super::{GlobalAlloc, Layout, System, count, count_freed};

    #[inline(never)]
    pub(super) unsafe fn alloc(layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    #[inline(never)]
    pub(super) unsafe fn alloc_zeroed(layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline(never)]
    pub(super) unsafe fn dealloc(pointer: *mut u8, layout: Layout) {
        count_freed(layout.size());
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    #[inline(never)]
    pub(super) unsafe fn realloc(pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_freed(layout.size());
        count(size);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

// SAFETY: every call goes to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the same contract.
        unsafe { system::alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the same contract.
        unsafe { system::alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the same contract.
        unsafe { system::dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller upholds the same contract.
        unsafe { system::realloc(pointer, layout, size) }
    }
}
