//! The metrics of RPCs: instruments, the time series of each method, and their legacy names.

pub(crate) mod append_table;
pub(crate) mod attribute_set;
pub(crate) mod duration_boundaries;
pub mod exemplars;
pub(crate) mod instruments;
pub(crate) mod legacy;
pub(crate) mod message_counts;
pub(crate) mod series;
