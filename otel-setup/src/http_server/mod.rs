//! The HTTP server of the scrape endpoint and of the zPages: hyper, which tonic depends on as well.
//!
//! A thread of its own runs it. If both are at the same address, they share it.

mod connections;
mod endpoint;
pub(crate) mod response;
mod sites;

pub(crate) use endpoint::{Address, Endpoint, bind};
pub(crate) use sites::{Link, Site};
