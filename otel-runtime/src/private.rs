//! What generated code names, and nobody else: it changes without notice.

pub use otel_macros::rpc;
pub use tonic::{Response, Status};

pub use crate::__service_name as service_name;
pub use crate::field::attribute;
pub use crate::server::{Respond, Rpc, Untraced};

/// Gives a handler's body its type, in a `return` that never runs.
#[must_use]
pub fn returns<R>() -> R {
    unreachable!("only its type is needed")
}

/// The `SERVICE_NAME` of a module that tonic generated, or `""`: a crate may show the trait in such a module, and not the constant.
///
/// What a block imports hides what is around the block, so the module's constant is found first.
#[doc(hidden)]
#[macro_export]
macro_rules! __service_name {
    ($($module:tt)*) => {{
        #[allow(dead_code)]
        const SERVICE_NAME: &str = "";
        {
            #[allow(unused_imports)]
            use $($module)*::*;
            SERVICE_NAME
        }
    }};
}
