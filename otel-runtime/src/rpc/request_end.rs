//! How the body of a request ends, and the number of its messages.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::grpc::side::Direction;
use crate::metrics::message_counts::MethodCounts;

/// Whether the body of a request broke off, and the number of its messages, if they are counted.
/// Shared by the body and the call.
///
/// tonic hides it from a handler: a reset stream looks like one that has ended.
#[derive(Debug, Default)]
pub(crate) struct RequestEnd {
    is_lost: AtomicBool,
    /// In a box, since most requests are not counted. A pooled end keeps it.
    counting: Option<Box<Counting>>,
}

#[derive(Debug, Default)]
struct Counting {
    /// Whether messages are counted.
    is_on: AtomicBool,
    messages: AtomicU64,
    /// The part of `messages` that is not in `counts` yet.
    uncounted: AtomicU64,
    /// The counts of a method that is known when counting starts: cheaper than a lock.
    counts: Option<(Arc<MethodCounts>, Direction)>,
    /// The counts of a method that becomes known later.
    late_counts: OnceLock<(Arc<MethodCounts>, Direction)>,
}

/// Number of ends that a thread keeps.
const MAX_POOLED: usize = 32;

thread_local! {
    static POOL: RefCell<Vec<Arc<RequestEnd>>> = const { RefCell::new(Vec::new()) };
}

impl RequestEnd {
    /// Takes an end from the pool of this thread.
    #[inline]
    pub(crate) fn take() -> Arc<Self> {
        let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
        pooled.unwrap_or_default()
    }

    /// Takes an end that counts messages from the pool of this thread. `counts` is `None` if the
    /// method is not known yet.
    #[cold]
    pub(crate) fn take_counting(counts: Option<(Arc<MethodCounts>, Direction)>) -> Arc<Self> {
        let mut end = RequestEnd::take();
        // Nobody else has an end that is in the pool, or new.
        if let Some(end) = Arc::get_mut(&mut end) {
            let counting = end.counting.get_or_insert_default();
            *counting.is_on.get_mut() = true;
            counting.counts = counts;
        }
        end
    }

    /// Puts an end back, unless a body still has it.
    pub(super) fn put_back(mut self: Arc<Self>) {
        if let Some(end) = Arc::get_mut(&mut self) {
            *end.is_lost.get_mut() = false;
            if let Some(counting) = &mut end.counting {
                **counting = Counting::default();
            }
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < MAX_POOLED {
                    pool.push(self);
                }
            });
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    pub(super) fn set_lost(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    /// Returns what is counted, if messages are counted.
    fn counting(&self) -> Option<&Counting> {
        let counting = self.counting.as_deref();
        counting.filter(|counting| counting.is_on.load(Ordering::Relaxed))
    }

    /// Counts no further messages: the request belongs to another call, whose body counts them.
    #[cold]
    pub(super) fn stop_counting(&self) {
        if let Some(counting) = self.counting() {
            counting.is_on.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn add_messages(&self, messages: u64) {
        let Some(counting) = self.counting() else {
            return;
        };
        counting.messages.fetch_add(messages, Ordering::Relaxed);
        if let Some((counts, direction)) = counting.counts() {
            counts.add_messages(*direction, messages);
        } else {
            counting.uncounted.fetch_add(messages, Ordering::SeqCst);
            // The method may have become known meanwhile.
            counting.count();
        }
    }

    /// Adds the messages to those of their method.
    pub(super) fn set_counts(&self, counts: Arc<MethodCounts>, direction: Direction) {
        if let Some(counting) = self.counting() {
            let _ = counting.late_counts.set((counts, direction));
            counting.count();
        }
    }

    /// Returns the number of messages so far, if they are counted.
    pub(super) fn messages(&self) -> Option<u64> {
        Some(self.counting()?.messages.load(Ordering::Relaxed))
    }
}

impl Counting {
    fn counts(&self) -> Option<&(Arc<MethodCounts>, Direction)> {
        self.counts.as_ref().or_else(|| self.late_counts.get())
    }

    fn count(&self) {
        if let Some((counts, direction)) = self.counts() {
            counts.add_messages(*direction, self.uncounted.swap(0, Ordering::SeqCst));
        }
    }
}
