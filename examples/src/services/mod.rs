//! The services of the examples.
//!
//! A route guide calls a geocoder for names, and a shop calls a cashier to charge its customers.

mod geocoder;
mod payment;
mod route_guide;
mod shop;

pub use geocoder::PlaceNames;
pub use payment::Cashier;
pub use route_guide::Guide;
pub use shop::Storefront;
