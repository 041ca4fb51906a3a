//! The service of gRPC's own tutorials: one method of each of the four kinds.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::context::FutureExt;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use otel_runtime::{TracedChannel, traced_service};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::geocoder::LookupRequest;
use crate::geocoder::geocoder_client::GeocoderClient;
use crate::routeguide::route_guide_server::RouteGuide;
use crate::routeguide::{Feature, Point, Rectangle, RouteNote, RouteSummary};

/// The features, from south to north. The geocoder has no name for the fourth.
const FEATURES: [Point; 7] = [
    point(400_273_442, -741_220_915),
    point(403_966_326, -748_519_297),
    point(407_838_351, -746_143_763),
    point(410_873_075, -744_459_023),
    point(413_628_156, -749_015_468),
    point(415_830_701, -742_952_812),
    point(418_858_923, -745_956_980),
];

const fn point(latitude: i32, longitude: i32) -> Point {
    Point { latitude, longitude }
}

/// A [`RouteGuide`] that asks a geocoder for the names of its features.
#[derive(Clone, Debug)]
pub struct Guide {
    geocoder: GeocoderClient<TracedChannel>,
    /// The last note at each place.
    notes: Arc<Mutex<HashMap<Point, RouteNote>>>,
}

impl Guide {
    /// Creates a guide that calls the geocoder through `channel`.
    #[must_use]
    pub fn new(channel: TracedChannel) -> Self {
        Guide {
            geocoder: GeocoderClient::new(channel),
            notes: Arc::default(),
        }
    }

    async fn feature(mut self, location: Point) -> Result<Feature, Status> {
        let Point { latitude, longitude } = location;
        let reply = self.geocoder.lookup(LookupRequest { latitude, longitude }).await;
        match reply {
            Ok(reply) => Ok(Feature {
                name: reply.into_inner().name,
                location: Some(location),
            }),
            // The route guide knows this feature, so NOT_FOUND would be wrong for its own caller.
            Err(status) if status.code() == Code::NotFound => {
                tracing::warn!(latitude, longitude, "the geocoder has no name for a feature");
                Err(Status::internal(format!("geocoder: {}", status.message())))
            }
            Err(status) => Err(status),
        }
    }

    /// Stores a note, and returns the previous one at its place.
    fn exchange(&self, note: RouteNote) -> Option<RouteNote> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.insert(note.location?, note)
    }
}

/// Returns the features in the area, within a span. The RPC's span is current, so it is the parent.
async fn search_features(area: &Rectangle) -> Vec<Point> {
    let span = global::tracer("route-guide").start("search-features");
    async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        FEATURES.into_iter().filter(|point| contains(area, *point)).collect()
    }
    .with_context(Context::current_with_span(span))
    .await
}

fn contains(area: &Rectangle, point: Point) -> bool {
    let (Some(lo), Some(hi)) = (&area.lo, &area.hi) else {
        return false;
    };
    (lo.latitude..=hi.latitude).contains(&point.latitude) && (lo.longitude..=hi.longitude).contains(&point.longitude)
}

#[traced_service]
#[tonic::async_trait]
impl RouteGuide for Guide {
    type ListFeaturesStream = Pin<Box<dyn Stream<Item = Result<Feature, Status>> + Send>>;
    type RouteChatStream = Pin<Box<dyn Stream<Item = Result<RouteNote, Status>> + Send>>;

    async fn get_feature(&self, request: Request<Point>) -> Result<Response<Feature>, Status> {
        let point = request.into_inner();
        let here = Rectangle {
            lo: Some(point),
            hi: Some(point),
        };
        if search_features(&here).await.is_empty() {
            return Err(Status::not_found("nothing to see here"));
        }
        Ok(Response::new(self.clone().feature(point).await?))
    }

    async fn list_features(&self, request: Request<Rectangle>) -> Result<Response<Self::ListFeaturesStream>, Status> {
        let found = search_features(request.get_ref()).await;
        let guide = self.clone();
        // The stream runs after the handler has returned. Its calls of the geocoder still belong to
        // the RPC's trace.
        let features = tokio_stream::iter(found).then(move |point| guide.clone().feature(point));
        Ok(Response::new(Box::pin(features)))
    }

    async fn record_route(&self, request: Request<Streaming<Point>>) -> Result<Response<RouteSummary>, Status> {
        let mut route = request.into_inner();
        let mut summary = RouteSummary::default();
        while let Some(point) = route.message().await? {
            summary.point_count += 1;
            summary.feature_count += i32::from(FEATURES.contains(&point));
        }
        Ok(Response::new(summary))
    }

    async fn route_chat(
        &self,
        request: Request<Streaming<RouteNote>>,
    ) -> Result<Response<Self::RouteChatStream>, Status> {
        let guide = self.clone();
        let earlier = request.into_inner().filter_map(move |note| match note {
            Ok(note) => guide.exchange(note).map(Ok),
            Err(status) => Some(Err(status)),
        });
        Ok(Response::new(Box::pin(earlier)))
    }
}
