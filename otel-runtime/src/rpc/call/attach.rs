//! Attaching the context of a call.

use super::Call;
use crate::rpc::current::{self, Attached};

impl Call {
    /// Attaches the context of the call, so that its end is recorded inside of it.
    ///
    /// For ends of a call that are not behind its own code, which returns with the context
    /// [attached](crate::rpc::run::inside_attached).
    pub(crate) fn attach(&self) -> Attached {
        self.context().and_then(current::attach)
    }
}
