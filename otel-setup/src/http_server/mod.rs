//! The HTTP server of the scrape endpoint and of the zPages: hyper, which tonic depends on as well.
//!
//! A server runs on a thread of its own. If both are at the same address, they share one.

mod connections;
mod endpoint;
pub(crate) mod response;
mod sites;

pub(crate) use endpoint::{Address, Endpoint, bind};
pub(crate) use sites::{Link, Site};
