//! A service that finds the name of a place.

use std::time::Duration;

use otel_runtime::traced_service;
use tonic::{Request, Response, Status};

use crate::geocoder::geocoder_server::Geocoder;
use crate::geocoder::{LookupReply, LookupRequest};

/// Latitude, longitude, name.
const NAMES: [(i32, i32, &str); 6] = [
    (400_273_442, -741_220_915, "Shore Road, Belmar"),
    (403_966_326, -748_519_297, "Bridge Street, Stockton"),
    (407_838_351, -746_143_763, "Patriots Path, Mendham"),
    (413_628_156, -749_015_468, "U.S. 6, Shohola"),
    (415_830_701, -742_952_812, "Hill Lane, Monroe"),
    (418_858_923, -745_956_980, "Ferndale Road, Liberty"),
];

/// Lookups north of this latitude take three seconds.
const ARCHIVE: i32 = 418_000_000;

/// A [`Geocoder`] of six places.
#[derive(Clone, Copy, Debug)]
pub struct PlaceNames;

#[traced_service]
#[tonic::async_trait]
impl Geocoder for PlaceNames {
    async fn lookup(&self, request: Request<LookupRequest>) -> Result<Response<LookupReply>, Status> {
        let LookupRequest { latitude, longitude } = request.into_inner();
        let work = Duration::from_millis(if latitude > ARCHIVE { 3000 } else { 4 });
        tokio::time::sleep(work).await;
        NAMES
            .iter()
            .find(|place| (place.0, place.1) == (latitude, longitude))
            .map(|place| {
                Response::new(LookupReply {
                    name: place.2.to_owned(),
                })
            })
            .ok_or_else(|| Status::not_found(format!("no name for {latitude}, {longitude}")))
    }
}
