//! The services of the examples: a route guide that asks a geocoder for names, and a shop that has
//! a cashier take the money.

mod geocoder;
mod payment;
mod route_guide;
mod shop;

pub use geocoder::PlaceNames;
pub use payment::Cashier;
pub use route_guide::Guide;
pub use shop::Storefront;
