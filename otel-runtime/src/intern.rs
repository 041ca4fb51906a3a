//! Interned values: leaked once, then shared as `&'static`.
//!
//! A call then copies a pointer. It does not allocate, nor does it touch a reference count, which
//! all threads would contend for. Whatever is interned is bounded: see [`limits`](crate::limits).

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A set of interned values.
pub(crate) struct Interner<T: ?Sized + 'static>(LazyLock<Mutex<HashSet<&'static T>>>);

impl<T: Eq + Hash + ?Sized> Interner<T> {
    pub(crate) const fn new() -> Self {
        Interner(LazyLock::new(Mutex::default))
    }

    /// Returns the interned value that equals `value`. If there is none yet, `leak` makes it.
    pub(crate) fn intern(&self, value: &T, leak: impl FnOnce() -> &'static T) -> &'static T {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interned) = values.get(value) {
            return interned;
        }
        let interned = leak();
        values.insert(interned);
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
