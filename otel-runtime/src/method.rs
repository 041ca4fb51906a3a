//! A method, and what is made once for it: its name on the wire, the attributes of its spans, its points in the metrics.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

use opentelemetry::KeyValue;

use crate::instrumentation::Instrumentation;
use crate::points::Points;
use crate::semconv;
use crate::status::Side;

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
    points: OnceLock<(u64, Arc<Points>)>,
}

impl Method {
    /// A method of a server.
    pub(crate) fn served(name: &str, path: Option<&str>) -> Self {
        Method::new(Side::Server, name, path, &[])
    }

    /// A method that a layer learns, of a server, or of the target that a client calls.
    ///
    /// It is kept for good, once however many layers learn it: an RPC that had a part in its ownership would count that where all threads count.
    pub(crate) fn kept(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> &'static Self {
        type Key = (Side, &'static str, Option<Box<str>>, Box<[KeyValue]>);
        static METHODS: LazyLock<Mutex<HashMap<Key, &'static Method>>> = LazyLock::new(Mutex::default);

        let mut methods = METHODS.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (side, interned(name), path.map(Box::from), Box::from(target));
        methods
            .entry(key)
            .or_insert_with(|| Box::leak(Box::new(Method::new(side, name, path, target))))
    }

    fn new(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> Self {
        let name = interned(name);
        Method {
            side,
            name,
            path: path.map(Box::from),
            target: Box::from(target),
            points: OnceLock::new(),
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
    pub(crate) fn attribute(&self) -> KeyValue {
        KeyValue::new(semconv::RPC_METHOD, self.name)
    }

    /// Asks its points in the metrics.
    #[inline]
    pub(crate) fn with_points(&self, instrumentation: &Instrumentation, ask: impl FnOnce(&Points)) {
        match self.points.get() {
            Some((of, points)) if *of == instrumentation.number() => ask(points),
            _ => ask(&self.find_points(instrumentation)),
        }
    }

    #[cold]
    fn find_points(&self, instrumentation: &Instrumentation) -> Arc<Points> {
        let instruments = instrumentation.instruments(self.side);
        let points = instruments.points(self.side, self.name, &self.target);
        self.points
            .get_or_init(|| (instrumentation.number(), Arc::clone(&points)));
        points
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Method").field(&self.side).field(&self.name).finish()
    }
}

/// A name that is an attribute without a copy, nor a count of its users: it is kept for good, once for each name in the program.
pub(crate) fn interned(name: &str) -> &'static str {
    static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let name = Box::leak(Box::<str>::from(name));
    names.insert(name);
    name
}
