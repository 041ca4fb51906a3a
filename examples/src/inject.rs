//! The trace goes on in the next service: the current context, put into the metadata of every call.

use opentelemetry::global;
use opentelemetry::propagation::Injector;
use tonic::metadata::{MetadataKey, MetadataMap};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// An interceptor for clients: `GreeterClient::with_interceptor(channel, InjectContext)`.
///
/// What it writes is up to the global propagator: `traceparent` and `tracestate` with
/// [`TraceContextPropagator`](opentelemetry_sdk::propagation::TraceContextPropagator).
#[derive(Clone, Copy, Debug)]
pub struct InjectContext;

impl Interceptor for InjectContext {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        global::get_text_map_propagator(|propagator| propagator.inject(&mut Metadata(request.metadata_mut())));
        Ok(request)
    }
}

/// Lets a propagator write into a request's metadata.
struct Metadata<'a>(&'a mut MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A propagator that writes what metadata cannot carry loses it; the call goes on.
        if let (Ok(key), Ok(value)) = (MetadataKey::from_bytes(key.as_bytes()), value.parse()) {
            self.0.insert(key, value);
        }
    }
}
