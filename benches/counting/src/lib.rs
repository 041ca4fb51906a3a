//! Counts what measured code takes: instructions, allocations, and bytes that are alive.

pub mod allocations;
pub mod callgrind;
