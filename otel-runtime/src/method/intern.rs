//! Interned names: leaked once, then shared as `&'static str`.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

/// Returns `name` as a leaked `&'static str`, the same for equal names.
///
/// An attribute with a static value needs neither a copy nor a reference count. The leak is
/// bounded: each distinct name is leaked once.
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
