//! The two services of the quickstart: the route guide asks the geocoder for names.

mod geocoder;
mod route_guide;

pub use geocoder::PlaceNames;
pub use route_guide::Guide;
