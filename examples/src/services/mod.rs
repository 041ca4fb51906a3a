//! The services of the examples: a route guide that calls a geocoder, and a shop that calls a
//! payment service.

mod geocoder;
mod payment;
mod route_guide;
mod shop;

pub use geocoder::PlaceNames;
pub use payment::Cashier;
pub use route_guide::Guide;
pub use shop::Storefront;
