//! Makes the keys of data points unique.
//!
//! Whether a point of the SDK has a key twice depends on the order of a hash table. The SDK
//! aggregates by the first value of a key, so that is the value which remains.

use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::unique_keys::has_duplicates;

/// Makes the keys of all data points of a request unique.
pub(super) fn in_request(request: &mut ExportMetricsServiceRequest) {
    let scopes = request.resource_metrics.iter_mut();
    let scopes = scopes.flat_map(|resource| &mut resource.scope_metrics);
    for metric in scopes.flat_map(|scope| &mut scope.metrics) {
        macro_rules! points {
            ($data:ident) => {
                $data
                    .data_points
                    .iter_mut()
                    .for_each(|point| in_attributes(&mut point.attributes))
            };
        }
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => points!(gauge),
            Some(Data::Sum(sum)) => points!(sum),
            Some(Data::Histogram(histogram)) => points!(histogram),
            Some(Data::ExponentialHistogram(histogram)) => points!(histogram),
            Some(Data::Summary(summary)) => points!(summary),
            None => {}
        }
    }
}

fn in_attributes(attributes: &mut Vec<KeyValue>) {
    if has_duplicates(attributes.len(), || {
        attributes.iter().map(|attribute| attribute.key.as_str())
    }) {
        let mut seen = HashSet::new();
        attributes.retain(|attribute| seen.insert(attribute.key.clone()));
    }
}
