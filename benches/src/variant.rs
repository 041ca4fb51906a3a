//! A variant that is measured: how an RPC is traced, if it is.

use crate::rpc::{Rpc, Shape};
use crate::sdk::Mode;

/// A way to trace an RPC, or none.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    /// The variant to compare with.
    pub(crate) base: &'static str,
    pub(crate) whose: Whose,
    /// Whether bound instruments change the variant.
    ///
    /// Bound instruments change even a variant that traces nothing, because the compiler then
    /// inlines other functions.
    pub(crate) can_be_bound: bool,
    /// The most important differences in features.
    pub(crate) lacks: &'static str,
    pub(crate) make: fn(Mode, Shape) -> Rpc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// No instrumentation.
    Nobodys,
    Ours,
    Others,
}

pub(crate) const BARE: &str = "bare";
pub(crate) const BARE_STREAMED: &str = "bare, streamed";
pub(crate) const BARE_WITHOUT_ADDRESSES: &str = "bare, no addresses";
pub(crate) const BARE_CLIENT: &str = "bare client";

impl Variant {
    pub(crate) const fn ours(name: &'static str, base: &'static str, make: fn(Mode, Shape) -> Rpc) -> Self {
        Variant {
            name,
            base,
            whose: Whose::Ours,
            can_be_bound: true,
            lacks: "",
            make,
        }
    }
}
