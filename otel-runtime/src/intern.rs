//! Interned values: leaked once, then shared as `&'static`.
//!
//! A call then copies a pointer. It does not allocate, nor does it touch a reference count, which
//! all threads would contend for. Whatever is interned is bounded: see [`limits`](crate::limits).

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::sync::{Mutex, PoisonError};

/// A set of interned values, each with its hash, by which they are sorted.
///
/// A `HashSet` would be several times as much code, for each type.
pub(crate) struct Interner<T: ?Sized + 'static>(Mutex<Vec<(u64, &'static T)>>);

impl<T: Eq + Hash + ?Sized> Interner<T> {
    pub(crate) const fn new() -> Self {
        Interner(Mutex::new(Vec::new()))
    }

    /// Returns the interned value that equals `value`. If there is none yet, `leak` makes it.
    pub(crate) fn intern(&self, value: &T, leak: impl FnOnce() -> &'static T) -> &'static T {
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(value);
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = values.partition_point(|(other, _)| *other < hash);
        let same_hash = values[at..].iter().take_while(|(other, _)| *other == hash);
        if let Some((_, interned)) = { same_hash }.find(|(_, interned)| *interned == value) {
            return interned;
        }
        let interned = leak();
        values.insert(at, (hash, interned));
        interned
    }
}

/// Interns a string, such as the name of a method.
pub(crate) fn intern(text: &str) -> &'static str {
    static STRINGS: Interner<str> = Interner::new();
    STRINGS.intern(text, || Box::leak(Box::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_one_address() {
        let (first, again) = (intern("a"), intern(&String::from("a")));
        assert!(std::ptr::eq(first, again));
        assert!(!std::ptr::eq(first, intern("b")));
    }
}
