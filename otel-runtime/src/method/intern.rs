//! Interned names: leaked once, then shared as `&'static str`.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A name that is an attribute without a copy, nor a count of its users: it is kept for good, once for each name in the program.
pub(crate) fn intern(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name = Box::leak(Box::<str>::from(name));
    names.insert(name);
    name
}
