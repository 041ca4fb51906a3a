//! The bounded queue between the threads of the program and the thread that exports.
//!
//! A queue takes memory as it is needed. That of `opentelemetry_sdk` 0.33.1 is a `sync_channel`,
//! for which std allocates all slots when it is made.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;

use super::settings::BatchSettings;
use crate::fork_check::ForkCheck;

/// The number of batches for which an empty queue keeps memory: those of the default settings.
const IDLE_BATCHES: usize = 4;

/// A queue of items, which are grouped into batches as they come.
pub(super) struct Queue<T> {
    settings: BatchSettings,
    state: Mutex<State<T>>,
    fork_check: ForkCheck,
    /// Tells the thread that exports that there is something to do.
    asked: Condvar,
    /// Tells the program that a round has ended.
    done: Condvar,
}

struct State<T> {
    /// All batches but the last are full.
    batches: VecDeque<Vec<T>>,
    /// The number of items in all batches.
    length: usize,
    /// The start of the last round, or the last time that there was none to start.
    exported_at: Instant,
    /// A resource that the exporter does not have yet.
    resource: Option<Resource>,
    /// The number of flushes that were asked for, and how many of them have ended.
    flushes_asked: u64,
    flushes_done: u64,
    is_closing: bool,
    /// Whether the last round has begun.
    is_closed: bool,
    /// Whether the last round has ended.
    is_done: bool,
}

/// The reason why an item was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    Full,
    /// The last round has begun, or the process is a fork.
    Closed,
}

/// A task of the thread that exports: everything that was recorded before.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) resource: Option<Resource>,
    /// The number of batches. The last may still grow until it is taken.
    pub(super) batches: usize,
    pub(super) is_last: bool,
    flushes: u64,
}

impl<T> Queue<T> {
    pub(super) fn new(settings: BatchSettings) -> Self {
        Queue {
            settings,
            state: Mutex::new(State {
                batches: VecDeque::new(),
                length: 0,
                exported_at: Instant::now(),
                resource: None,
                flushes_asked: 0,
                flushes_done: 0,
                is_closing: false,
                is_closed: false,
                is_done: false,
            }),
            fork_check: ForkCheck::default(),
            asked: Condvar::new(),
            done: Condvar::new(),
        }
    }

    pub(super) fn push(&self, item: T) -> Result<(), Rejection> {
        let BatchSettings {
            max_queue_size,
            max_batch_size,
            ..
        } = self.settings;
        let state = self.fork_check.lock(&self.state).filter(|state| !state.is_closed);
        let mut state = state.ok_or(Rejection::Closed)?;
        if state.length == max_queue_size {
            return Err(Rejection::Full);
        }
        state.length += 1;
        let is_full = match state.batches.back_mut() {
            Some(batch) if batch.len() < max_batch_size => {
                if batch.len() == batch.capacity() {
                    // Doubled at most up to a full batch.
                    batch.reserve_exact(batch.len().min(max_batch_size - batch.len()));
                }
                batch.push(item);
                batch.len() == max_batch_size
            }
            _ => {
                state.batches.push_back(vec![item]);
                max_batch_size == 1
            }
        };
        drop(state);
        // Each notice is a system call.
        if is_full {
            self.asked.notify_one();
        }
        Ok(())
    }

    /// Sets the resource for the next round.
    pub(super) fn set_resource(&self, resource: &Resource) {
        self.state().resource = Some(resource.clone());
    }

    /// Waits until everything that is in the queue now has been exported.
    pub(super) fn flush(&self) {
        let mut state = self.state();
        state.flushes_asked += 1;
        let flush = state.flushes_asked;
        self.asked.notify_one();
        let is_pending = |state: &mut State<T>| state.flushes_done < flush && !state.is_done;
        drop(self.done.wait_while(state, is_pending));
    }

    /// Lets the thread export what is in the queue, and end. Returns whether it is the first time.
    pub(super) fn close(&self) -> bool {
        let is_first = !std::mem::replace(&mut self.state().is_closing, true);
        self.asked.notify_one();
        is_first
    }

    /// Waits for the end of the last round, and returns whether it has come.
    pub(super) fn wait_until_done(&self, timeout: Duration) -> bool {
        let waited = self
            .done
            .wait_timeout_while(self.state(), timeout, |state| !state.is_done);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_done
    }

    /// Waits until the thread has something to do.
    pub(super) fn next_round(&self) -> Round {
        let mut state = self.state();
        while !state.is_due(self.settings.max_batch_size) {
            let remaining = self.settings.interval.saturating_sub(state.exported_at.elapsed());
            if !remaining.is_zero() {
                let waited = self.asked.wait_timeout(state, remaining);
                (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            } else if state.length > 0 {
                break;
            } else {
                state.exported_at = Instant::now();
            }
        }
        state.exported_at = Instant::now();
        state.is_closed = state.is_closing;
        Round {
            resource: state.resource.take(),
            batches: state.batches.len(),
            is_last: state.is_closing,
            flushes: state.flushes_asked,
        }
    }

    /// Takes the oldest batch.
    pub(super) fn take_batch(&self) -> Option<Vec<T>> {
        let mut state = self.state();
        let batch = state.batches.pop_front()?;
        state.length -= batch.len();
        if state.batches.is_empty() {
            // A burst leaves a long list behind, which would stay for good.
            state.batches.shrink_to(IDLE_BATCHES);
        }
        Some(batch)
    }

    pub(super) fn end_round(&self, round: &Round) {
        let mut state = self.state();
        state.flushes_done = round.flushes;
        state.is_done = round.is_last;
        self.done.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The items would be much text, and much code.
impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl<T> State<T> {
    /// Returns whether the thread has something to do before the interval has passed.
    fn is_due(&self, max_batch_size: usize) -> bool {
        self.length >= max_batch_size || self.flushes_done < self.flushes_asked || self.is_closing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    /// Returns a queue of four items in batches of three.
    fn queue(interval: &str) -> Queue<u32> {
        Queue::new(BatchSettings::for_spans(&Env::from_vars([
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "3"),
            ("OTEL_BSP_SCHEDULE_DELAY", interval),
        ])))
    }

    #[test]
    fn items_come_in_batches_in_the_order_of_their_end() {
        let queue = queue("3600000");
        let pushed: Vec<_> = (1..=5).map(|item| queue.push(item)).collect();
        assert_eq!(pushed, [Ok(()), Ok(()), Ok(()), Ok(()), Err(Rejection::Full)]);
        let round = queue.next_round();
        assert_eq!((round.batches, round.is_last), (2, false));
        assert_eq!(queue.take_batch(), Some(vec![1, 2, 3]));
        // A batch that is exported takes no place of the queue.
        assert_eq!(
            [6, 7, 8, 9].map(|item| queue.push(item).is_ok()),
            [true, true, true, false]
        );
        assert_eq!(queue.take_batch(), Some(vec![4, 6, 7]));
        assert_eq!(queue.take_batch(), Some(vec![8]));
        assert_eq!(queue.take_batch(), None);
    }

    #[test]
    fn memory_is_taken_as_it_is_needed_and_given_back() {
        // Three batches of 600 items are full, and the last has 248.
        for (batch_size, capacity_of_2048) in [("512", 2048), ("600", 3 * 600 + 256), ("1", 2048)] {
            let env = Env::from_vars([
                ("OTEL_BSP_MAX_QUEUE_SIZE", "1000000"),
                ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch_size),
            ]);
            let queue = Queue::new(BatchSettings::for_spans(&env));
            let capacity = |queue: &Queue<u64>| queue.state().batches.iter().map(Vec::capacity).sum::<usize>();
            assert_eq!(capacity(&queue), 0);
            for item in 0..2048 {
                queue.push(item).unwrap();
            }
            assert_eq!(capacity(&queue), capacity_of_2048);
            while queue.take_batch().is_some() {}
            assert_eq!(capacity(&queue), 0);
            assert!(queue.state().batches.capacity() <= IDLE_BATCHES, "the list of batches");
        }
    }

    #[test]
    fn a_round_is_due_after_the_interval_if_there_are_items() {
        let queue = queue("1");
        queue.push(1).unwrap();
        let round = queue.next_round();
        assert_eq!((round.batches, round.is_last), (1, false));
    }

    #[test]
    fn the_last_round_has_what_came_before_it() {
        let queue = queue("3600000");
        queue.push(1).unwrap();
        queue.set_resource(&Resource::builder_empty().build());
        assert!(!queue.state().is_due(3), "a resource alone is no reason to export");
        assert!(queue.close());
        assert!(!queue.close(), "closed twice");
        queue.push(2).unwrap();
        let round = queue.next_round();
        assert_eq!((round.batches, round.is_last), (1, true));
        assert!(round.resource.is_some());
        assert_eq!(queue.push(3), Err(Rejection::Closed));
        assert_eq!(queue.take_batch(), Some(vec![1, 2]));
        assert!(!queue.wait_until_done(Duration::ZERO));
        queue.end_round(&round);
        assert!(queue.wait_until_done(Duration::ZERO));
        // Nothing comes any more, so there is nothing to wait for.
        queue.flush();
    }
}
