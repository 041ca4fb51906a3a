//! The method that running code belongs to, where its thread does not serve the call.

use std::cell::Cell;

thread_local! {
    static METHOD: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Returns the method of the code around.
pub(super) fn method() -> Option<&'static str> {
    METHOD.try_with(Cell::get).ok().flatten()
}

/// Runs code that belongs to a call of `method`.
pub(crate) fn run_in<T>(method: Option<&'static str>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<&'static str>);

    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = METHOD.try_with(|current| current.set(self.0));
        }
    }

    let outer = METHOD.try_with(|current| current.replace(method));
    let _restore = Restore(outer.ok().flatten());
    work()
}
