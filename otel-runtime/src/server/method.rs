//! A method, and what is made once for it: its name on the wire and the attributes of its spans and metric points.

use std::sync::OnceLock;

use opentelemetry::KeyValue;

use super::capture::{Captured, Captures};
use crate::instrumentation::Instrumentation;
use crate::semconv;
use crate::status::Outcome;

/// A method by its name, with everything about it that every RPC of it needs.
#[derive(Debug)]
pub(crate) struct Method {
    /// `pkg.Service/Method`. Leaked, once for each method of the program, to be an attribute without a copy.
    name: &'static str,
    /// The path of the request that told the name.
    path: Option<Box<str>>,
    active_requests: Box<[KeyValue]>,
    call_duration: [OnceLock<Box<[KeyValue]>>; Outcome::COUNT],
    pub(super) captured: Captured,
}

impl Method {
    pub(super) fn new(service: &str, method: &str, path: Option<&str>, captures: &Captures) -> Self {
        let name: &'static str = Box::leak(format!("{service}/{method}").into_boxed_str());
        Method {
            name,
            path: path.map(Box::from),
            active_requests: sorted(Self::identity(name).to_vec()),
            call_duration: [const { OnceLock::new() }; Outcome::COUNT],
            captured: Captured::new(captures),
        }
    }

    /// `rpc.method`, and the name of its spans.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The path of its requests, where one has come with a path.
    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The attributes that every span and metric point of the method has.
    pub(crate) fn span_attributes(&self) -> [KeyValue; 2] {
        Self::identity(self.name)
    }

    fn identity(name: &'static str) -> [KeyValue; 2] {
        [
            KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC),
            KeyValue::new(semconv::RPC_METHOD, name),
        ]
    }

    /// Adds to the number of its RPCs that are being handled.
    pub(crate) fn count_active(&self, instrumentation: &Instrumentation, change: i64) {
        instrumentation
            .server_active_requests()
            .add(change, &self.active_requests);
    }

    /// Records the duration of one RPC, in seconds.
    pub(crate) fn record_duration(&self, instrumentation: &Instrumentation, seconds: f64, outcome: Outcome<'_>) {
        let attributes = self.call_duration[outcome.index()].get_or_init(|| {
            let mut attributes = Self::identity(self.name).to_vec();
            attributes.push(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_name()));
            attributes.extend(
                outcome
                    .server_error_type()
                    .map(|error| KeyValue::new(semconv::ERROR_TYPE, error)),
            );
            sorted(attributes)
        });
        instrumentation.server_call_duration().record(seconds, attributes);
    }
}

/// Attributes of a metric point. The SDK finds a point faster when its attributes come sorted.
fn sorted(mut attributes: Vec<KeyValue>) -> Box<[KeyValue]> {
    attributes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    attributes.into_boxed_slice()
}
