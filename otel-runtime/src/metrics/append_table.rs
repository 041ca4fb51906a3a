//! A hash table that only grows, and is read without a lock.

use std::sync::{Mutex, OnceLock, PoisonError};

/// A hash table that only grows.
///
/// A lock would be written by each reader, for all threads. The number of buckets is fixed: if
/// there are many more entries, readers search lists of them.
pub(crate) struct AppendTable<T> {
    buckets: Box<[Link<T>]>,
    /// Held while an entry is added, so that none is added twice.
    writer: Mutex<()>,
}

type Link<T> = OnceLock<Box<Entry<T>>>;

struct Entry<T> {
    hash: u64,
    value: T,
    next: Link<T>,
}

impl<T> AppendTable<T> {
    /// Creates a table with at least that many buckets.
    pub(crate) fn new(buckets: usize) -> Self {
        AppendTable {
            buckets: (0..buckets.next_power_of_two()).map(|_| Link::new()).collect(),
            writer: Mutex::default(),
        }
    }

    #[inline]
    fn bucket(&self, hash: u64) -> Option<&Link<T>> {
        // Only the low bits count, so the cast may cut.
        #[allow(clippy::cast_possible_truncation)]
        self.buckets.get(hash as usize & (self.buckets.len() - 1))
    }

    /// Returns the value with this hash that `is` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u64, is: impl Fn(&T) -> bool) -> Option<&T> {
        let mut link = self.bucket(hash)?;
        while let Some(entry) = link.get() {
            if entry.hash == hash && is(&entry.value) {
                return Some(&entry.value);
            }
            link = &entry.next;
        }
        None
    }

    /// Adds a value, unless there is one that `is` accepts.
    #[cold]
    pub(crate) fn insert(&self, hash: u64, value: T, is: impl Fn(&T) -> bool) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.find(hash, is).is_some() {
            return;
        }
        let Some(mut link) = self.bucket(hash) else {
            return;
        };
        while let Some(entry) = link.get() {
            link = &entry.next;
        }
        link.get_or_init(|| {
            Box::new(Entry {
                hash,
                value,
                next: Link::new(),
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_entries_of_one_bucket_and_of_one_hash() {
        let table = AppendTable::new(3);
        let entries: Vec<(u64, u32)> = (0..40).map(|number| (u64::from(number / 2), number)).collect();
        for (hash, number) in &entries {
            assert!(table.find(*hash, |found| found == number).is_none());
            table.insert(*hash, *number, |found| found == number);
            table.insert(*hash, *number, |found| found == number);
        }
        for (hash, number) in &entries {
            assert_eq!(table.find(*hash, |found| found == number), Some(number));
            assert!(table.find(hash + 1, |found| found == number).is_none());
        }
        let count = |link: &Link<u32>| std::iter::successors(link.get(), |entry| entry.next.get()).count();
        assert_eq!(table.buckets.iter().map(count).collect::<Vec<_>>(), [10; 4]);
    }
}
