//! Makes the keys of instrumentation scopes unique. The last value wins, at the place of the first.

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};

use crate::unique_keys::has_duplicates;

/// Makes the keys of a scope unique.
pub(super) fn in_scope(scope: &mut Option<InstrumentationScope>) {
    let Some(scope) = scope else { return };
    let attributes = &mut scope.attributes;
    if has_duplicates(attributes.len(), || {
        attributes.iter().map(|attribute| attribute.key.as_str())
    }) {
        let mut unique: Vec<KeyValue> = Vec::new();
        for attribute in attributes.drain(..) {
            match unique.iter_mut().find(|earlier| earlier.key == attribute.key) {
                Some(earlier) => *earlier = attribute,
                None => unique.push(attribute),
            }
        }
        *attributes = unique;
    }
}
