//! A row of the table of all variants.

use crate::measure::Cost;
use crate::rpc::Shape;
use crate::sdk::Mode;
use crate::variant::Variant;

/// A row of the table: a variant and its cost.
pub(crate) struct Row<'a> {
    pub(crate) variant: &'a Variant,
    pub(crate) is_bound: bool,
    pub(crate) mode: Mode,
    pub(crate) shape: Shape,
    pub(crate) cost: Cost,
    /// The cost of that RPC without the variant.
    pub(crate) base: Cost,
}

impl Row<'_> {
    pub(crate) fn name(&self) -> String {
        let bound = if self.is_bound { ", bound" } else { "" };
        format!("{}{bound}", self.variant.name)
    }

    pub(crate) fn instructions(&self) -> f64 {
        self.cost.instructions - self.base.instructions
    }

    pub(crate) fn instructions_without_allocator(&self) -> f64 {
        self.cost.instructions_without_allocator - self.base.instructions_without_allocator
    }

    pub(crate) fn allocations(&self) -> f64 {
        self.cost.allocations - self.base.allocations
    }
}
