//! A hash table of spans.

use std::mem::size_of;

use opentelemetry::trace::SpanId;

/// The number of slots of a table that has entries, at least.
const MIN_SLOTS: usize = 8;

type Slot<E> = (u64, Option<E>);

/// A hash table with linear probing, of 2ⁿ slots, by the [keys](key) of spans.
///
/// The standard one takes twice the instructions: ids are random, so there is little to do.
#[derive(Debug)]
pub(super) struct Table<E> {
    slots: Vec<Slot<E>>,
    count: usize,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Table {
            slots: Vec::new(),
            count: 0,
        }
    }
}

impl<E> Table<E> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        self.slots.iter().filter_map(|(_, entry)| entry.as_ref())
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut E> {
        let index = self.find(key)?;
        self.slots[index].1.as_mut()
    }

    /// Returns the first slot where a key may be.
    #[inline]
    fn home(&self, key: u64) -> usize {
        (key >> 40) as usize & self.mask()
    }

    #[inline]
    fn mask(&self) -> usize {
        self.slots.len().wrapping_sub(1)
    }

    #[inline]
    pub(super) fn insert(&mut self, key: u64, entry: E) {
        if self.count >= max_count(self.slots.len()) {
            self.grow();
        }
        let mut index = self.home(key);
        while self.slots[index].1.is_some() {
            index = (index + 1) & self.mask();
        }
        self.slots[index] = (key, Some(entry));
        self.count += 1;
    }

    #[cold]
    fn grow(&mut self) {
        let mut slots = Vec::new();
        slots.resize_with((self.slots.len() * 2).max(MIN_SLOTS), || (0, None));
        self.count = 0;
        for (key, entry) in std::mem::replace(&mut self.slots, slots) {
            if let Some(entry) = entry {
                self.insert(key, entry);
            }
        }
    }

    /// Returns the slot of a key. There is always a free slot, where the search ends.
    #[inline]
    fn find(&self, key: u64) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let mut index = self.home(key);
        loop {
            match &self.slots[index] {
                (_, None) => return None,
                (found, Some(_)) if *found == key => return Some(index),
                _ => index = (index + 1) & self.mask(),
            }
        }
    }

    // Always inlined, although it has a second caller, which is cold: saves 15 instructions.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub(super) fn remove(&mut self, key: u64) -> Option<E> {
        let mut hole = self.find(key)?;
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

/// Returns the number of entries at which a table is full.
#[inline]
fn max_count(slots: usize) -> usize {
    slots / 8 * 7
}

/// Returns the number of entries that a table may have in so many bytes.
pub(super) fn capacity<E>(bytes: usize) -> usize {
    max_count((bytes / size_of::<Slot<E>>() + 1).next_power_of_two() / 2)
}

/// Returns the key of a span. No two spans share one.
///
/// Ids are random, so a multiplication is enough for those of a generator that counts.
#[inline]
pub(super) fn key(id: SpanId) -> u64 {
    u64::from_be_bytes(id.to_bytes()).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Returns the index of the table, among as many, that a key belongs to.
#[inline]
pub(super) fn table_index(key: u64, tables: usize) -> usize {
    (key >> 32) as usize % tables
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
            let mut table = Table::default();
            let mut model = HashSet::new();
            for (is_insertion, id) in steps {
                let key = key(SpanId::from(id));
                if is_insertion && model.insert(id) {
                    table.insert(key, ());
                } else if !is_insertion {
                    prop_assert_eq!(table.remove(key).is_some(), model.remove(&id));
                }
                for id in 1..40 {
                    prop_assert_eq!(table.get_mut(self::key(SpanId::from(id))).is_some(), model.contains(&id));
                }
                prop_assert_eq!((table.len(), table.iter().count()), (model.len(), model.len()));
            }
        }
    }

    #[test]
    fn a_table_may_have_as_many_entries_as_its_bytes_have_room_for() {
        // A slot takes 16 bytes.
        for (bytes, expected) in [(100, 0), (2047, 56), (2048, 112), (4095, 112), (4096, 224)] {
            assert_eq!(capacity::<Box<()>>(bytes), expected, "{bytes}");
        }
    }
}
