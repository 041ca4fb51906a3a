//! Registry of the methods that a layer knows, by request path.
//!
//! A caller can send any path. To bound the cardinality, a path becomes an attribute value only
//! once it is known to be a method's.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use opentelemetry::{KeyValue, Value};

use crate::grpc::path::{full_method_name, qualified_method};
use crate::grpc::side::Side;
use crate::intern::intern;
use crate::method::Method;
use crate::{limits, semconv};

/// Maximum number of methods in a registry.
///
/// Real services have fewer. The limit bounds the memory of a service that accepts any path, such
/// as a proxy.
const MAX_METHODS: usize = 2000;

/// Maximum number of targets whose addresses are interned, for as long as the program runs.
///
/// Real programs call fewer groups of servers.
const MAX_TARGETS: usize = 1000;

/// Registers a target. Returns `true` if it is one of the first, whose metrics have its address.
fn register_target(target: &[KeyValue]) -> bool {
    /// Sorted.
    static TARGETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

    let mut name = String::new();
    for attribute in target {
        name.push_str(&attribute.value.to_string());
        name.push(' ');
    }
    let mut targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
    match targets.binary_search(&name) {
        Ok(_) => true,
        Err(_) if targets.len() == MAX_TARGETS => false,
        Err(at) => {
            targets.insert(at, name);
            true
        }
    }
}

/// Registry of the methods that a layer knows.
#[derive(Debug)]
pub(crate) struct MethodRegistry {
    /// Unique id, used as a key in the per-thread cache.
    id: u64,
    side: Side,
    /// `server.address` and `server.port` of a client's spans.
    target: Arc<[KeyValue]>,
    /// The part of `target` that metrics have: all of it or nothing.
    metric_target: Arc<[KeyValue]>,
    // A sorted list would be less code, and 260 instructions more for one of 2,000 methods.
    by_path: RwLock<HashMap<Box<str>, &'static Method>>,
    /// The method of all calls with an unknown path.
    fallback: &'static Method,
}

/// Number of slots in the per-thread cache.
const RECENT: usize = 64;

thread_local! {
    /// Per-thread cache of lookups, keyed by registry id. Entries never go stale: registries only
    /// grow.
    static THREAD_CACHE: [Cell<Option<(u64, &'static Method)>>; RECENT] = const { [const { Cell::new(None) }; RECENT] };
}

/// Returns the index of the slot for a path in the per-thread cache.
fn cache_index(path: &str) -> usize {
    let bytes = path.as_bytes();
    let byte = |back: usize| bytes.len().checked_sub(back).map_or(0, |at| usize::from(bytes[at]));
    (bytes.len() ^ byte(1) ^ byte(2) << 2 ^ byte(4) << 1) % RECENT
}

impl MethodRegistry {
    pub(crate) fn for_server() -> Self {
        MethodRegistry::new(Side::Server, &[], &[])
    }

    /// Creates the registry of a client with this target.
    ///
    /// The addresses of the first targets are interned, with their metrics. Any further ones, as in
    /// a program that makes a channel for each address it resolves, are only on spans.
    pub(crate) fn for_client(target: &[KeyValue]) -> Self {
        if target.is_empty() {
            return MethodRegistry::new(Side::Client, &[], &[]);
        }
        if !register_target(target) {
            return MethodRegistry::new(Side::Client, target, &[]);
        }
        let interned = |attribute: &KeyValue| match &attribute.value {
            Value::String(name) => KeyValue::new(attribute.key.clone(), intern(name.as_str())),
            _ => attribute.clone(),
        };
        let target = target.iter().map(interned).collect::<Vec<_>>();
        MethodRegistry::new(Side::Client, &target, &target)
    }

    /// Returns a registry of the same methods, whose metrics lack the target.
    pub(crate) fn without_metric_target(&self) -> Self {
        let registry = MethodRegistry::new(self.side, &self.target, &[]);
        let methods = self.by_path.read().unwrap_or_else(PoisonError::into_inner);
        for (path, method) in methods.iter() {
            registry.register_as(path, method.name());
        }
        registry
    }

    fn new(side: Side, target: &[KeyValue], metric_target: &[KeyValue]) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);

        MethodRegistry {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            side,
            target: Arc::from(target),
            metric_target: Arc::from(metric_target),
            by_path: RwLock::default(),
            fallback: Method::interned(side, semconv::OTHER, None, metric_target),
        }
    }

    /// Returns the method with this path, if it is known.
    pub(crate) fn get(&self, path: &str) -> Option<&'static Method> {
        THREAD_CACHE.with(|found| {
            let slot = &found[cache_index(path)];
            match slot.get() {
                Some((id, method)) if id == self.id && method.path() == Some(path) => Some(method),
                _ => {
                    let method = self.lookup_shared(path)?;
                    slot.set(Some((self.id, method)));
                    Some(method)
                }
            }
        })
    }

    /// Looks a path up in the map that all threads share.
    fn lookup_shared(&self, path: &str) -> Option<&'static Method> {
        let methods = self.by_path.read().unwrap_or_else(PoisonError::into_inner);
        methods.get(path).copied()
    }

    /// Returns the method that stands for all unknown ones, `_OTHER`.
    pub(crate) fn fallback(&self) -> &'static Method {
        self.fallback
    }

    /// Registers `path` as a path of `method`.
    ///
    /// Does nothing if the registry is full, or if the name in the path exceeds the limit for
    /// names.
    pub(crate) fn alias(&self, path: &str, method: &'static Method) {
        if full_method_name(path).len() <= limits::NAME {
            self.insert(path, method);
        }
    }

    fn insert(&self, path: &str, method: &'static Method) {
        let mut methods = self.by_path.write().unwrap_or_else(PoisonError::into_inner);
        if methods.len() < MAX_METHODS {
            methods.entry(Box::from(path)).or_insert(method);
        }
    }

    /// Registers the path of a request under the method name that it contains, without a prefix.
    ///
    /// Returns `None` if the registry is full, or if the path exceeds the limit for names.
    pub(crate) fn register(&self, path: &str) -> Option<&'static Method> {
        let is_short = full_method_name(path).len() <= limits::NAME;
        is_short.then(|| self.register_as(path, qualified_method(path)))?
    }

    /// Registers `path` under the method `name`, which the program itself supplies.
    ///
    /// Returns `None` if the registry is full.
    pub(crate) fn register_as(&self, path: &str, name: &str) -> Option<&'static Method> {
        if let Some(known) = self.get(path) {
            return Some(known);
        }
        let is_full = self.by_path.read().unwrap_or_else(PoisonError::into_inner).len() >= MAX_METHODS;
        (!is_full).then(|| {
            let method = Method::interned(self.side, name, Some(path), &self.metric_target);
            self.insert(path, method);
            method
        })
    }

    /// Registers the methods with these full names.
    pub(crate) fn register_names(&self, names: impl IntoIterator<Item: AsRef<str>>) {
        for name in names {
            let name = full_method_name(name.as_ref());
            self.register_as(&format!("/{name}"), name);
        }
    }

    /// Returns `server.address` and `server.port` of a client's target.
    pub(crate) fn target(&self) -> &Arc<[KeyValue]> {
        &self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_path_once_it_is_registered() {
        let methods = MethodRegistry::for_server();
        assert!(methods.get("/helloworld.Greeter/SayHello").is_none());
        assert_eq!(methods.fallback().name(), "_OTHER");
        assert_eq!(methods.fallback().span_name(), "grpc");
        methods.register("/helloworld.Greeter/SayHello");
        let known = methods.get("/helloworld.Greeter/SayHello").unwrap();
        assert_eq!(known.name(), "helloworld.Greeter/SayHello");
        assert_eq!(known.span_name(), "helloworld.Greeter/SayHello");
    }

    #[test]
    fn registries_are_independent() {
        let (one, other) = (MethodRegistry::for_server(), MethodRegistry::for_server());
        one.register_as("/a.B/C", "a.B/C");
        assert!(one.get("/a.B/C").is_some() && other.get("/a.B/C").is_none());
        other.register_as("/a.B/C", "its.Own/Name");
        for _ in 0..2 {
            assert_eq!(one.get("/a.B/C").unwrap().name(), "a.B/C");
            assert_eq!(other.get("/a.B/C").unwrap().name(), "its.Own/Name");
        }
    }

    #[test]
    fn paths_that_share_a_cache_slot_are_distinguished() {
        let methods = MethodRegistry::for_server();
        // More than there are slots.
        let paths: Vec<_> = (0..2 * RECENT).map(|id| format!("/a.B/C{id}")).collect();
        for path in &paths {
            methods.register(path);
        }
        for path in paths.iter().chain(&paths) {
            assert_eq!(methods.get(path).unwrap().path(), Some(&**path));
        }
        assert!(methods.get("").is_none() && methods.get("/").is_none());
    }

    #[test]
    fn rejects_a_name_from_the_wire_that_is_too_long() {
        let path = |length| format!("/a.B/{}", "C".repeat(length - 4));
        let (longest, too_long) = (path(limits::NAME), path(limits::NAME + 1));
        let methods = MethodRegistry::for_server();
        assert_eq!(methods.register(&longest).unwrap().name(), full_method_name(&longest));
        assert!(methods.register(&too_long).is_none());
        methods.alias(&too_long, methods.fallback());
        assert!(methods.get(&too_long).is_none());
        methods.register_names([&too_long]);
        assert_eq!(
            methods.get(&too_long).unwrap().name(),
            full_method_name(&too_long),
            "names that the program registers have no limit"
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of methods take it minutes")]
    fn holds_at_most_max_methods() {
        let methods = MethodRegistry::for_server();
        for id in 0..MAX_METHODS {
            assert!(methods.register(&format!("/a.B/C{id}")).is_some());
        }
        assert!(methods.register("/a.B/OneTooMany").is_none());
        assert!(methods.get("/a.B/OneTooMany").is_none());
        assert!(methods.register("/a.B/C0").is_some());
    }
}
