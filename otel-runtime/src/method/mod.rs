//! A method, and what is made once for it: its name on the wire, the attributes of its spans, its points in the metrics.

pub(crate) mod intern;
pub(crate) mod registry;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use opentelemetry::KeyValue;

use crate::grpc::side::Side;
use crate::method::intern::intern;
use crate::metrics::instruments::Instruments;
use crate::metrics::series::MethodMetrics;
use crate::semconv;

/// A method by its name, with everything about it that every RPC of it needs.
pub(crate) struct Method {
    side: Side,
    /// `pkg.Service/Method`.
    name: &'static str,
    /// The path of the request that told the name.
    path: Option<Box<str>>,
    /// `server.address` and `server.port` of a client's target. A server's metrics do not have them: its callers choose what they call it by.
    target: Box<[KeyValue]>,
    /// With the number of the first instrumentation that it was recorded with, which is the only one of nearly every program. Others look their points up.
    metrics: OnceLock<(u64, Arc<MethodMetrics>)>,
}

impl Method {
    /// A method of a server.
    pub(crate) fn for_server(name: &str, path: Option<&str>) -> Self {
        Method::new(Side::Server, name, path, &[])
    }

    /// A method that a layer learns, of a server, or of the target that a client calls.
    ///
    /// It is kept for good, once however many layers learn it: an RPC that had a part in its ownership would count that where all threads count.
    pub(crate) fn interned(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> &'static Self {
        type Key = (Side, &'static str, Option<Box<str>>, Box<[KeyValue]>);
        static METHODS: LazyLock<Mutex<HashMap<Key, &'static Method>>> = LazyLock::new(Mutex::default);

        let mut methods = METHODS.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (side, intern(name), path.map(Box::from), Box::from(target));
        methods
            .entry(key)
            .or_insert_with(|| Box::leak(Box::new(Method::new(side, name, path, target))))
    }

    fn new(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> Self {
        let name = intern(name);
        Method {
            side,
            name,
            path: path.map(Box::from),
            target: Box::from(target),
            metrics: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// `rpc.method`.
    #[inline]
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The name of its spans.
    #[inline]
    pub(crate) fn span_name(&self) -> &'static str {
        if self.is_other() { semconv::GRPC } else { self.name }
    }

    /// Whether it stands for all methods that nobody knows.
    #[inline]
    pub(crate) fn is_other(&self) -> bool {
        self.name == semconv::OTHER
    }

    /// The path of its requests, where one has come with a path.
    #[inline]
    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// `rpc.method`, of a span.
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

    #[cold]
    fn lookup_metrics(&self, instruments: &Instruments) -> Arc<MethodMetrics> {
        let metrics = instruments.call(self.side).method(self.side, self.name, &self.target);
        self.metrics.get_or_init(|| (instruments.id(), Arc::clone(&metrics)));
        metrics
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.side).field(&self.name).finish()
    }
}
