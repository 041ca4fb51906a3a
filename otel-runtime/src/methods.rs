//! The methods that a layer knows, by their paths.
//!
//! Anybody can send a request with any path, so a path becomes a label only once it is known to be a method's.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::{KeyValue, Value};

use crate::method::{Method, interned};
use crate::status::Side;
use crate::{limits, semconv};

/// How many methods a layer knows. A program has fewer; what answers to any path at all, a proxy say, must not fill the memory with them.
const MOST_KNOWN: usize = 2000;

/// The methods that a layer knows.
#[derive(Debug)]
pub(crate) struct Methods {
    /// Which methods these are.
    number: u64,
    side: Side,
    target: Arc<[KeyValue]>,
    by_path: RwLock<HashMap<Box<str>, &'static Method>>,
    /// The method of what is not known.
    other: &'static Method,
}

/// How many methods a thread finds without a look at what all threads share.
const RECENT: usize = 64;

thread_local! {
    /// Methods that this thread has found of late, and which methods they are among. What is known once stays so.
    static RECENTLY_FOUND: [Cell<Option<(u64, &'static Method)>>; RECENT] = const { [const { Cell::new(None) }; RECENT] };
}

/// Where the method with this path is among those found of late.
fn place(path: &str) -> usize {
    let bytes = path.as_bytes();
    let byte = |back: usize| bytes.len().checked_sub(back).map_or(0, |at| usize::from(bytes[at]));
    (bytes.len() ^ byte(1) ^ byte(2) << 2 ^ byte(4) << 1) % RECENT
}

impl Methods {
    pub(crate) fn served() -> Self {
        Methods::new(Side::Server, &[])
    }

    /// Those of the target that a client calls. What that is named stands in all spans and metric points of it, so it is kept for good.
    pub(crate) fn called(target: &[KeyValue]) -> Self {
        let kept = |attribute: &KeyValue| match &attribute.value {
            Value::String(name) => KeyValue::new(attribute.key.clone(), interned(name.as_str())),
            _ => attribute.clone(),
        };
        Methods::new(Side::Client, &target.iter().map(kept).collect::<Vec<_>>())
    }

    fn new(side: Side, target: &[KeyValue]) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);

        Methods {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            side,
            target: Arc::from(target),
            by_path: RwLock::default(),
            other: Method::kept(side, semconv::OTHER, None, target),
        }
    }

    /// The method with this path, if it is known.
    pub(crate) fn get(&self, path: &str) -> Option<&'static Method> {
        RECENTLY_FOUND.with(|found| {
            let place = &found[place(path)];
            match place.get() {
                Some((number, method)) if number == self.number && method.path() == Some(path) => Some(method),
                _ => {
                    let method = self.look_up(path)?;
                    place.set(Some((self.number, method)));
                    Some(method)
                }
            }
        })
    }

    fn look_up(&self, path: &str) -> Option<&'static Method> {
        let methods = self.by_path.read().unwrap_or_else(PoisonError::into_inner);
        methods.get(path).copied()
    }

    /// What stands for all methods that are not known.
    pub(crate) fn other(&self) -> &'static Method {
        self.other
    }

    /// Knows this path from now on as that of `method`. One too long for a name has to be told anew each time.
    pub(crate) fn insert(&self, path: &str, method: &'static Method) {
        if name_in(path).len() <= limits::NAME {
            self.keep(path, method);
        }
    }

    fn keep(&self, path: &str, method: &'static Method) {
        let mut methods = self.by_path.write().unwrap_or_else(PoisonError::into_inner);
        if methods.len() < MOST_KNOWN {
            methods.entry(Box::from(path)).or_insert(method);
        }
    }

    /// Knows this path, which a caller wrote, from now on as that of the method it names, and gives that; `None` where there are too many already, or it is too long for a name.
    pub(crate) fn learn(&self, path: &str) -> Option<&'static Method> {
        let name = name_in(path);
        (name.len() <= limits::NAME).then(|| self.learn_as(path, name))?
    }

    /// The same, for a method whose name the program knows.
    pub(crate) fn learn_as(&self, path: &str, name: &str) -> Option<&'static Method> {
        if let Some(known) = self.get(path) {
            return Some(known);
        }
        let is_full = self.by_path.read().unwrap_or_else(PoisonError::into_inner).len() >= MOST_KNOWN;
        (!is_full).then(|| {
            let method = Method::kept(self.side, name, Some(path), &self.target);
            self.keep(path, method);
            method
        })
    }

    /// Knows the methods with these full names.
    pub(crate) fn learn_names(&self, names: impl IntoIterator<Item: AsRef<str>>) {
        for name in names {
            let name = name_in(name.as_ref());
            self.learn_as(&format!("/{name}"), name);
        }
    }

    /// `server.address` and `server.port` of a client's target.
    pub(crate) fn target(&self) -> &Arc<[KeyValue]> {
        &self.target
    }
}

/// `pkg.Service/Method` of `/pkg.Service/Method`.
pub(crate) fn name_in(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_once_it_has_been_learnt() {
        let methods = Methods::served();
        assert!(methods.get("/helloworld.Greeter/SayHello").is_none());
        assert_eq!(methods.other().name(), "_OTHER");
        assert_eq!(methods.other().span_name(), "grpc");
        methods.learn("/helloworld.Greeter/SayHello");
        let known = methods.get("/helloworld.Greeter/SayHello").unwrap();
        assert_eq!(known.name(), "helloworld.Greeter/SayHello");
        assert_eq!(known.span_name(), "helloworld.Greeter/SayHello");
    }

    #[test]
    fn each_layer_knows_its_own() {
        let (one, other) = (Methods::served(), Methods::served());
        one.learn_as("/a.B/C", "a.B/C");
        assert!(one.get("/a.B/C").is_some() && other.get("/a.B/C").is_none());
        other.learn_as("/a.B/C", "its.Own/Name");
        for _ in 0..2 {
            assert_eq!(one.get("/a.B/C").unwrap().name(), "a.B/C");
            assert_eq!(other.get("/a.B/C").unwrap().name(), "its.Own/Name");
        }
    }

    #[test]
    fn paths_that_share_a_place_are_told_apart() {
        let methods = Methods::served();
        // More than there are places.
        let paths: Vec<_> = (0..2 * RECENT).map(|number| format!("/a.B/C{number}")).collect();
        for path in &paths {
            methods.learn(path);
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
        let methods = Methods::served();
        assert_eq!(methods.learn(&longest).unwrap().name(), name_in(&longest));
        assert!(methods.learn(&too_long).is_none());
        methods.insert(&too_long, methods.other());
        assert!(methods.get(&too_long).is_none());
        methods.learn_names([&too_long]);
        assert_eq!(
            methods.get(&too_long).unwrap().name(),
            name_in(&too_long),
            "the program's word"
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of methods take it minutes")]
    fn there_is_an_end_to_what_is_learnt() {
        let methods = Methods::served();
        for number in 0..MOST_KNOWN {
            assert!(methods.learn(&format!("/a.B/C{number}")).is_some());
        }
        assert!(methods.learn("/a.B/OneTooMany").is_none());
        assert!(methods.get("/a.B/OneTooMany").is_none());
        assert!(methods.learn("/a.B/C0").is_some());
    }
}
