//! `docs/interop.md`, which is generated from the table.

/// Writes the page.
pub fn write() {}
