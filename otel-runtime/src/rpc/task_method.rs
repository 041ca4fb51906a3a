//! The method of the call around the running code, for log lines.

use std::cell::Cell;

use super::current;

thread_local! {
    /// The method of the call that the running task belongs to.
    static OF_TASK: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Returns the method of the recorded call around the running code, if it is known.
///
/// In a task that was wrapped by [`task`](crate::task), this is the call that started the task.
#[must_use]
pub fn current_method() -> Option<&'static str> {
    current::method().or_else(|| OF_TASK.try_with(Cell::get).ok().flatten())
}

/// Runs code of a task that belongs to a call of `method`.
pub(crate) fn run_in_task<T>(method: Option<&'static str>, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<&'static str>);

    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = OF_TASK.try_with(|of_task| of_task.set(self.0));
        }
    }

    let outer = OF_TASK.try_with(|of_task| of_task.replace(method));
    let _restore = Restore(outer.ok().flatten());
    work()
}
