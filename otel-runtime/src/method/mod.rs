//! A gRPC method with the data that all its calls share: name, span attributes, time series.

pub(crate) mod descriptor_set;
pub(crate) mod registry;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;

use crate::grpc::outcome::Outcome;
use crate::grpc::side::Side;
use crate::intern::{Interner, intern};
use crate::metrics::attribute_set::{AttributeSet, MethodKey};
use crate::metrics::exemplars::MethodExemplars;
use crate::metrics::instruments::Instruments;
use crate::metrics::message_counts::MethodCounts;
use crate::metrics::series::MethodMetrics;
use crate::observer::MethodObserver;
use crate::semconv;

/// A gRPC method, with the data that all its calls share.
pub(crate) struct Method {
    side: Side,
    /// `pkg.Service/Method`.
    name: &'static str,
    /// The path of the requests, if the method was registered with one.
    path: Option<Box<str>>,
    /// `server.address` and `server.port` of a client's target. Empty for a server.
    ///
    /// A server's metrics leave these out: callers choose the authority, so its cardinality is
    /// unbounded.
    target: Box<[KeyValue]>,
    /// The time series of the first instrumentation that recorded the method, and its id.
    ///
    /// Most programs have only one. Any other instrumentation looks its series up in a map.
    metrics: OnceLock<(u64, Arc<MethodMetrics>)>,
    exemplars: MethodExemplars,
    /// The message counts of the first instrumentation that counted them, and its id.
    counts: OnceLock<(u64, Arc<MethodCounts>)>,
    observer: OnceLock<Box<dyn MethodObserver>>,
}

impl Method {
    /// Creates a method of a server.
    pub(crate) fn for_server(name: &str, path: Option<&str>) -> Self {
        Method::new(Side::Server, name, path, &[])
    }

    /// Returns the leaked method with these properties, and creates it if there is none yet.
    ///
    /// With an `Arc` instead, every call would write to a reference count that all threads share.
    /// All layers share the leaked method.
    pub(crate) fn interned(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> &'static Self {
        static METHODS: Interner<Method> = Interner::new();

        let method = Method::new(side, name, path, target);
        METHODS.intern(&method, || Box::leak(Box::new(Method::new(side, name, path, target))))
    }

    fn new(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> Self {
        let name = intern(name);
        Method {
            side,
            name,
            path: path.map(Box::from),
            target: Box::from(target),
            metrics: OnceLock::new(),
            exemplars: MethodExemplars::default(),
            counts: OnceLock::new(),
            observer: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Returns the value of `rpc.method`.
    #[inline]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the name of the method's spans.
    #[inline]
    pub(crate) fn span_name(&self) -> &'static str {
        if self.is_other() { semconv::GRPC } else { self.name }
    }

    /// Returns `true` if this is the fallback for all unknown methods.
    #[inline]
    pub(crate) fn is_other(&self) -> bool {
        self.name == semconv::OTHER
    }

    /// Returns the path of the requests, if the method was registered with one.
    #[inline]
    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Returns the attribute `rpc.method`.
    #[inline]
    pub(crate) fn rpc_method(&self) -> KeyValue {
        KeyValue::new(semconv::RPC_METHOD, self.name)
    }

    /// Calls `use_metrics` with the method's time series of these instruments.
    #[inline]
    pub(crate) fn with_metrics(&self, instruments: &Instruments, use_metrics: impl FnOnce(&MethodMetrics)) {
        match self.metrics.get() {
            Some((id, metrics)) if *id == instruments.id() => use_metrics(metrics),
            _ => use_metrics(&self.lookup_metrics(instruments)),
        }
    }

    /// Returns the method's time series with attributes of the user's own.
    pub(crate) fn metrics_with(&'static self, instruments: &Instruments, set: &AttributeSet) -> Arc<MethodMetrics> {
        set.series(self.key(instruments), || {
            let (call, attributes) = (instruments.call(self.side), instruments.own_attributes().admit(set));
            call.method_with(self.side, self.name, &self.target, &attributes)
        })
    }

    /// Returns a key of the method's time series of these instruments.
    #[inline]
    pub(crate) fn key(&'static self, instruments: &Instruments) -> MethodKey {
        (instruments.id(), std::ptr::from_ref(self).addr())
    }

    #[inline]
    pub(crate) fn exemplars(&self) -> &MethodExemplars {
        &self.exemplars
    }

    /// Returns the attributes of gRPC's own metrics, `grpc.method` and a client's `grpc.target`.
    pub(crate) fn grpc_attributes(&self) -> Vec<KeyValue> {
        let method = if self.is_other() {
            semconv::GRPC_OTHER
        } else {
            self.name
        };
        let mut attributes = Vec::with_capacity(3);
        attributes.push(KeyValue::new(semconv::GRPC_METHOD, method));
        let mut target = String::new();
        for attribute in &self.target {
            if !target.is_empty() {
                target.push(':');
            }
            target.push_str(&attribute.value.to_string());
        }
        if !target.is_empty() {
            attributes.push(KeyValue::new(semconv::GRPC_TARGET, target));
        }
        attributes
    }

    /// Returns the message counts of the method with these instruments.
    #[cold]
    pub(crate) fn message_counts(&self, instruments: &Instruments) -> Arc<MethodCounts> {
        if let Some((id, counts)) = self.counts.get()
            && *id == instruments.id()
        {
            return Arc::clone(counts);
        }
        let counters = instruments.message_counters(self.side);
        let counts = counters.method(self.name, &self.target, || self.grpc_attributes());
        self.counts.get_or_init(|| (instruments.id(), Arc::clone(&counts)));
        counts
    }

    /// Returns the observer of the method's calls, which `observe` makes once.
    #[inline]
    pub(crate) fn observer(&self, observe: impl FnOnce() -> Box<dyn MethodObserver>) -> &dyn MethodObserver {
        &**self.observer.get_or_init(observe)
    }

    /// Returns the name of the call duration, and its attributes for this outcome.
    pub(crate) fn duration_series(
        &self,
        instruments: &Instruments,
        outcome: Outcome<'_>,
    ) -> (&'static str, Box<[KeyValue]>) {
        let instrument = match self.side {
            Side::Server => &semconv::SERVER_CALL_DURATION,
            Side::Client => &semconv::CLIENT_CALL_DURATION,
        };
        let mut attributes = Box::default();
        self.with_metrics(instruments, |metrics| attributes = metrics.duration_attributes(outcome));
        (instrument.name, attributes)
    }

    #[cold]
    fn lookup_metrics(&self, instruments: &Instruments) -> Arc<MethodMetrics> {
        let metrics = instruments.call(self.side).method(self.side, self.name, &self.target);
        self.metrics.get_or_init(|| (instruments.id(), Arc::clone(&metrics)));
        metrics
    }
}

// Methods are equal if they have the same properties, whatever has been recorded of them.
impl PartialEq for Method {
    fn eq(&self, other: &Self) -> bool {
        (self.side, self.name, &self.path, &self.target) == (other.side, other.name, &other.path, &other.target)
    }
}

impl Eq for Method {}

impl Hash for Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.side, self.name, &self.path, &self.target).hash(state);
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.side).field(&self.name).finish()
    }
}
