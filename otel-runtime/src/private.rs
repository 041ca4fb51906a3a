//! Items that generated code names, and nobody else. They change without notice.

pub use otel_macros::rpc;
pub use tonic::{Response, Status};

pub use crate::__service_name as service_name;
pub use crate::attributes::field_value::attribute;
pub use crate::server::{MethodDescriptor, RespondUnary, RespondUnboxed, Untraced};

/// Gives a handler's body its type, in a `return` that never runs.
#[must_use]
pub fn type_hint<R>() -> R {
    unreachable!("only its type is needed")
}

/// Expands to the `SERVICE_NAME` of a module that tonic generated, or to `""` if it has none: a
/// crate may re-export the trait in such a module, and not the constant.
///
/// An import in a block shadows the items around the block, so the module's constant wins.
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
