//! The method of the call around the running code, for log lines.

use super::{current, method_scope};

/// Returns the method of the recorded call around the running code, if it is known.
///
/// In a task that was wrapped by [`task`](crate::task), this is the call that started the task.
#[must_use]
pub fn current_method() -> Option<&'static str> {
    current::method().or_else(method_scope::method)
}
