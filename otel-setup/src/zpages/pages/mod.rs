//! The pages, as HTML and as JSON.

mod call_so_far;
mod document;
mod inside;
mod json;
mod rpcz;
mod samples;
mod summary;
mod traces;
mod waterfall;

#[cfg(test)]
pub(super) use document::STYLE;
pub(super) use json::json;
pub(super) use rpcz::rpcz;
pub(super) use samples::samples;
pub(super) use summary::summary;
