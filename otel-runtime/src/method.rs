//! A method, and what is made once for it: its name on the wire and the attributes of its spans and metric points.

use std::collections::HashSet;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use opentelemetry::KeyValue;

use crate::instrumentation::Instrumentation;
use crate::semconv;
use crate::status::{Outcome, Side};

/// A method by its name, with everything about it that every RPC of it needs.
#[derive(Debug)]
pub(crate) struct Method {
    side: Side,
    /// `pkg.Service/Method`.
    name: &'static str,
    /// The path of the request that told the name.
    path: Option<Box<str>>,
    /// `server.address` and `server.port` of a client's target. A server's metrics do not have them: its callers choose what they call it by.
    target: Box<[KeyValue]>,
    active_requests: Box<[KeyValue]>,
    call_duration: [OnceLock<Box<[KeyValue]>>; Outcome::COUNT],
}

impl Method {
    /// A method of a server.
    pub(crate) fn served(name: &str, path: Option<&str>) -> Self {
        Method::new(Side::Server, name, path, &[])
    }

    /// A method of the server that a client calls.
    pub(crate) fn called(name: &str, target: &[KeyValue]) -> Self {
        Method::new(Side::Client, name, None, target)
    }

    fn new(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> Self {
        let name = interned(name);
        Method {
            side,
            name,
            path: path.map(Box::from),
            target: Box::from(target),
            active_requests: sorted(labels(name).to_vec()),
            call_duration: [const { OnceLock::new() }; Outcome::COUNT],
        }
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// `rpc.method`.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The name of its spans.
    pub(crate) fn span_name(&self) -> &'static str {
        if self.is_other() { semconv::GRPC } else { self.name }
    }

    /// Whether it stands for all methods that nobody knows.
    pub(crate) fn is_other(&self) -> bool {
        self.name == semconv::OTHER
    }

    /// The path of its requests, where one has come with a path.
    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// `rpc.method`, of a span.
    pub(crate) fn attribute(&self) -> KeyValue {
        KeyValue::new(semconv::RPC_METHOD, self.name)
    }

    /// Adds to the number of its RPCs that are under way.
    pub(crate) fn count_active(&self, instrumentation: &Instrumentation, change: i64) {
        instrumentation
            .instruments(self.side)
            .active_requests
            .add(change, &self.active_requests);
    }

    /// Records the duration of one RPC, in seconds.
    pub(crate) fn record_duration(&self, instrumentation: &Instrumentation, seconds: f64, outcome: Outcome<'_>) {
        let histogram = &instrumentation.instruments(self.side).call_duration;
        match outcome.index() {
            Some(index) => {
                let attributes = self.call_duration[index].get_or_init(|| self.ended(outcome));
                histogram.record(seconds, attributes);
            }
            None => histogram.record(seconds, &self.ended(outcome)),
        }
    }

    /// The attributes of an RPC that has ended.
    fn ended(&self, outcome: Outcome<'_>) -> Box<[KeyValue]> {
        let mut attributes = labels(self.name).to_vec();
        attributes.extend_from_slice(&self.target);
        attributes.push(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_name()));
        let error = outcome.error_type(self.side);
        attributes.extend(error.map(|error| KeyValue::new(semconv::ERROR_TYPE, error)));
        sorted(attributes)
    }
}

/// The attributes that every metric point of a method has.
fn labels(name: &'static str) -> [KeyValue; 2] {
    [
        KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC),
        KeyValue::new(semconv::RPC_METHOD, name),
    ]
}

/// Attributes of a metric point. The SDK finds a point faster when its attributes come sorted.
fn sorted(mut attributes: Vec<KeyValue>) -> Box<[KeyValue]> {
    attributes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    attributes.into_boxed_slice()
}

/// A name that is an attribute without a copy: it is kept for good, once for each name in the program.
fn interned(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name = Box::leak(Box::<str>::from(name));
    names.insert(name);
    name
}

/// The method of an RPC: that of an annotated handler, or one that a layer knows.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Handler(&'static Method),
    Layer(Arc<Method>),
}

impl Deref for Known {
    type Target = Method;

    fn deref(&self) -> &Method {
        match self {
            Known::Handler(method) => method,
            Known::Layer(method) => method,
        }
    }
}
