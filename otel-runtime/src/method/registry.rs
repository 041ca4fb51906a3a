//! The methods that a layer knows, by their paths.
//!
//! Anybody can send a request with any path, so a path becomes a label only once it is known to be a method's.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::{KeyValue, Value};

use crate::grpc::path::full_method_name;
use crate::grpc::side::Side;
use crate::method::Method;
use crate::method::intern::intern;
use crate::{limits, semconv};

/// How many methods a layer knows. A program has fewer; what answers to any path at all, a proxy say, must not fill the memory with them.
const MAX_METHODS: usize = 2000;

/// The methods that a layer knows.
#[derive(Debug)]
pub(crate) struct MethodRegistry {
    /// Which methods these are.
    id: u64,
    side: Side,
    target: Arc<[KeyValue]>,
    by_path: RwLock<HashMap<Box<str>, &'static Method>>,
    /// The method of what is not known.
    fallback: &'static Method,
}

/// How many methods a thread finds without a look at what all threads share.
const RECENT: usize = 64;

thread_local! {
    /// MethodRegistry that this thread has found of late, and which methods they are among. What is known once stays so.
    static THREAD_CACHE: [Cell<Option<(u64, &'static Method)>>; RECENT] = const { [const { Cell::new(None) }; RECENT] };
}

/// Where the method with this path is among those found of late.
fn cache_index(path: &str) -> usize {
    let bytes = path.as_bytes();
    let byte = |back: usize| bytes.len().checked_sub(back).map_or(0, |at| usize::from(bytes[at]));
    (bytes.len() ^ byte(1) ^ byte(2) << 2 ^ byte(4) << 1) % RECENT
}

impl MethodRegistry {
    pub(crate) fn for_server() -> Self {
        MethodRegistry::new(Side::Server, &[])
    }

    /// Those of the target that a client calls. What that is named stands in all spans and metric points of it, so it is kept for good.
    pub(crate) fn for_client(target: &[KeyValue]) -> Self {
        let kept = |attribute: &KeyValue| match &attribute.value {
            Value::String(name) => KeyValue::new(attribute.key.clone(), intern(name.as_str())),
            _ => attribute.clone(),
        };
        MethodRegistry::new(Side::Client, &target.iter().map(kept).collect::<Vec<_>>())
    }

    fn new(side: Side, target: &[KeyValue]) -> Self {
        static IDS: AtomicU64 = AtomicU64::new(0);

        MethodRegistry {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            side,
            target: Arc::from(target),
            by_path: RwLock::default(),
            fallback: Method::interned(side, semconv::OTHER, None, target),
        }
    }

    /// The method with this path, if it is known.
    pub(crate) fn get(&self, path: &str) -> Option<&'static Method> {
        THREAD_CACHE.with(|found| {
            let place = &found[cache_index(path)];
            match place.get() {
                Some((id, method)) if id == self.id && method.path() == Some(path) => Some(method),
                _ => {
                    let method = self.lookup_shared(path)?;
                    place.set(Some((self.id, method)));
                    Some(method)
                }
            }
        })
    }

    fn lookup_shared(&self, path: &str) -> Option<&'static Method> {
        let methods = self.by_path.read().unwrap_or_else(PoisonError::into_inner);
        methods.get(path).copied()
    }

    /// What stands for all methods that are not known.
    pub(crate) fn fallback(&self) -> &'static Method {
        self.fallback
    }

    /// Knows this path from now on as that of `method`. One too long for a name has to be told anew each time.
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

    /// Knows this path, which a caller wrote, from now on as that of the method it names, and gives that; `None` where there are too many already, or it is too long for a name.
    pub(crate) fn register(&self, path: &str) -> Option<&'static Method> {
        let name = full_method_name(path);
        (name.len() <= limits::NAME).then(|| self.register_as(path, name))?
    }

    /// The same, for a method whose name the program knows.
    pub(crate) fn register_as(&self, path: &str, name: &str) -> Option<&'static Method> {
        if let Some(known) = self.get(path) {
            return Some(known);
        }
        let is_full = self.by_path.read().unwrap_or_else(PoisonError::into_inner).len() >= MAX_METHODS;
        (!is_full).then(|| {
            let method = Method::interned(self.side, name, Some(path), &self.target);
            self.insert(path, method);
            method
        })
    }

    /// Knows the methods with these full names.
    pub(crate) fn register_names(&self, names: impl IntoIterator<Item: AsRef<str>>) {
        for name in names {
            let name = full_method_name(name.as_ref());
            self.register_as(&format!("/{name}"), name);
        }
    }

    /// `server.address` and `server.port` of a client's target.
    pub(crate) fn target(&self) -> &Arc<[KeyValue]> {
        &self.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_once_it_has_been_learnt() {
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
    fn each_layer_knows_its_own() {
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
    fn paths_that_share_a_place_are_told_apart() {
        let methods = MethodRegistry::for_server();
        // More than there are places.
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
    fn a_name_from_the_wire_has_an_end() {
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
            "the program's word"
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of methods take it minutes")]
    fn there_is_an_end_to_what_is_learnt() {
        let methods = MethodRegistry::for_server();
        for id in 0..MAX_METHODS {
            assert!(methods.register(&format!("/a.B/C{id}")).is_some());
        }
        assert!(methods.register("/a.B/OneTooMany").is_none());
        assert!(methods.get("/a.B/OneTooMany").is_none());
        assert!(methods.register("/a.B/C0").is_some());
    }
}
