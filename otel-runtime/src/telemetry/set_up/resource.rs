//! What a service says of itself with everything that it sends.

use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{SdkProvidedResourceDetector, TelemetryResourceDetector};

use super::Builder;
use super::environment::Environment;

/// What the program says, over what the environment says, over what is found out.
pub(super) fn resource(builder: &mut Builder, environment: &Environment) -> Resource {
    let mut resource = Resource::builder_empty()
        .with_detector(Box::new(SdkProvidedResourceDetector))
        .with_detector(Box::new(TelemetryResourceDetector));
    if let Some(name) = environment.text("OTEL_SERVICE_NAME") {
        resource = resource.with_attribute(KeyValue::new("service.name", Value::from(name)));
    }
    resource.with_attributes(builder.attributes.drain(..)).build()
}
