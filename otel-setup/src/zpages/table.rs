//! The running spans, found by their ids.

use std::mem::size_of;
use std::sync::{Mutex, MutexGuard, PoisonError};

use opentelemetry::trace::SpanId;

/// The number of shards. A page holds the lock of one of them for a moment, to copy pointers.
const SHARDS: usize = 32;
/// The number of slots of a shard that has entries, at least.
const MIN_SLOTS: usize = 8;

/// The entries of running spans by span id.
#[derive(Debug)]
pub(super) struct Table<E> {
    shards: [Mutex<Shard<E>>; SHARDS],
    /// The number of entries that a shard may have.
    capacity: usize,
}

type Slot<E> = (u64, Option<E>);

/// A hash table with linear probing, of 2ⁿ slots.
///
/// The standard one takes twice the instructions: ids are random, so there is little to do.
#[derive(Debug)]
struct Shard<E> {
    slots: Vec<Slot<E>>,
    count: usize,
}

impl<E> Default for Shard<E> {
    fn default() -> Self {
        Shard {
            slots: Vec::new(),
            count: 0,
        }
    }
}

impl<E: Clone> Table<E> {
    pub(super) fn new(bytes: usize) -> Self {
        Table {
            shards: std::array::from_fn(|_| Mutex::default()),
            capacity: max_count((bytes / SHARDS / size_of::<Slot<E>>() + 1).next_power_of_two() / 2),
        }
    }

    #[inline]
    fn shard(&self, id: u64) -> MutexGuard<'_, Shard<E>> {
        let index = (mix(id) >> 32) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a span that starts, or returns `false` if there is no room.
    #[inline]
    pub(super) fn insert(&self, id: SpanId, entry: E) -> bool {
        let id = number(id);
        let mut shard = self.shard(id);
        let fits = shard.count < self.capacity;
        if fits {
            shard.insert(id, entry);
        }
        fits
    }

    #[inline]
    pub(super) fn remove(&self, id: SpanId) -> Option<E> {
        let id = number(id);
        self.shard(id).remove(id)
    }

    /// Returns the entry of a running span.
    pub(super) fn get(&self, id: SpanId) -> Option<E> {
        let id = number(id);
        let shard = self.shard(id);
        shard.slots[shard.find(id)?].1.clone()
    }

    /// Returns all entries.
    pub(super) fn all(&self) -> Vec<E> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.slots.iter().filter_map(|(_, entry)| entry.clone()));
        }
        all
    }
}

impl<E> Shard<E> {
    /// Returns the first slot where an id may be.
    #[inline]
    fn home(&self, id: u64) -> usize {
        (mix(id) >> 40) as usize & self.mask()
    }

    #[inline]
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn insert(&mut self, id: u64, entry: E) {
        if self.count >= max_count(self.slots.len()) {
            self.grow();
        }
        let mut index = self.home(id);
        while self.slots[index].1.is_some() {
            index = (index + 1) & self.mask();
        }
        self.slots[index] = (id, Some(entry));
        self.count += 1;
    }

    #[cold]
    fn grow(&mut self) {
        let mut slots = Vec::new();
        slots.resize_with((self.slots.len() * 2).max(MIN_SLOTS), || (0, None));
        self.count = 0;
        for (id, entry) in std::mem::replace(&mut self.slots, slots) {
            if let Some(entry) = entry {
                self.insert(id, entry);
            }
        }
    }

    /// Returns the slot of an id. There is always a free slot, where the search ends.
    #[inline]
    fn find(&self, id: u64) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let mut index = self.home(id);
        loop {
            match &self.slots[index] {
                (_, None) => return None,
                (found, Some(_)) if *found == id => return Some(index),
                _ => index = (index + 1) & self.mask(),
            }
        }
    }

    #[inline]
    fn remove(&mut self, id: u64) -> Option<E> {
        let mut hole = self.find(id)?;
        let entry = self.slots[hole].1.take();
        self.count -= 1;
        // Entries behind the hole must stay within reach of their home.
        let mut index = (hole + 1) & self.mask();
        while self.slots[index].1.is_some() {
            let distance = |from: usize| index.wrapping_sub(from) & self.mask();
            if distance(self.home(self.slots[index].0)) >= distance(hole) {
                self.slots.swap(hole, index);
                hole = index;
            }
            index = (index + 1) & self.mask();
        }
        entry
    }
}

/// Returns the number of entries at which a shard is full.
#[inline]
fn max_count(slots: usize) -> usize {
    slots / 8 * 7
}

#[inline]
fn number(id: SpanId) -> u64 {
    u64::from_be_bytes(id.to_bytes())
}

/// Ids are random, so a multiplication is enough for those of a generator that counts.
#[inline]
fn mix(id: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Slots are few, so that ids collide.
        #[test]
        fn entries_are_found_until_they_are_removed(steps in prop::collection::vec((any::<bool>(), 1..40_u64), 0..200)) {
            let mut shard = Shard::default();
            let mut model = HashSet::new();
            for (is_insertion, id) in steps {
                if is_insertion && model.insert(id) {
                    shard.insert(id, ());
                } else if !is_insertion {
                    prop_assert_eq!(shard.remove(id).is_some(), model.remove(&id));
                }
                for id in 1..40 {
                    prop_assert_eq!(shard.find(id).is_some(), model.contains(&id));
                }
            }
        }
    }

    #[test]
    fn a_table_has_as_many_entries_as_its_bytes_have_room_for() {
        let table = Table::new(100_000);
        let fits = |id: &u64| table.insert(SpanId::from(*id), ());
        let count = (1..100_000).filter(fits).count();
        assert_eq!(count, 32 * 112);
        assert!(count * size_of::<Slot<()>>() < 100_000);
        assert!(table.remove(SpanId::from(1)).is_some());
        assert!(table.remove(SpanId::from(1)).is_none());
        assert!(fits(&1));
    }
}
