//! The methods that a layer knows, by their paths.
//!
//! Anybody can send a request with any path, so a path becomes a label only once it is known to be a method's.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::KeyValue;

use crate::method::{Known, Method};
use crate::semconv;
use crate::status::Side;

/// How many methods a layer knows. A program has fewer; what answers to any path at all, a proxy say, must not fill the memory with them.
const MOST_KNOWN: usize = 2000;

/// The methods that a layer knows.
#[derive(Debug)]
pub(crate) struct Methods {
    side: Side,
    target: Arc<[KeyValue]>,
    by_path: RwLock<HashMap<Box<str>, Known>>,
    /// The method of what is not known.
    other: Known,
}

impl Methods {
    pub(crate) fn served() -> Self {
        Methods::new(Side::Server, &[])
    }

    pub(crate) fn called(target: &[KeyValue]) -> Self {
        Methods::new(Side::Client, target)
    }

    fn new(side: Side, target: &[KeyValue]) -> Self {
        Methods {
            side,
            target: Arc::from(target),
            by_path: RwLock::default(),
            other: Known::Layer(Arc::new(make(side, semconv::OTHER, None, target))),
        }
    }

    /// The method with this path, if it is known.
    pub(crate) fn get(&self, path: &str) -> Option<Known> {
        let methods = self.by_path.read().unwrap_or_else(PoisonError::into_inner);
        methods.get(path).cloned()
    }

    /// The same, where `last` is the one that was asked for last, and becomes the one that is asked for now.
    pub(crate) fn get_or_last(&self, path: &str, last: &mut Option<Known>) -> Option<Known> {
        match last {
            Some(method) if method.path() == Some(path) => {}
            _ => *last = self.get(path),
        }
        last.clone()
    }

    /// What stands for all methods that are not known.
    pub(crate) fn other(&self) -> Known {
        self.other.clone()
    }

    /// Knows this path from now on as that of `method`.
    pub(crate) fn insert(&self, path: &str, method: Known) {
        let mut methods = self.by_path.write().unwrap_or_else(PoisonError::into_inner);
        if methods.len() < MOST_KNOWN {
            methods.entry(Box::from(path)).or_insert(method);
        }
    }

    /// Knows this path from now on as that of the method it names, and gives that; `None` where there are too many already.
    pub(crate) fn learn(&self, path: &str) -> Option<Known> {
        self.learn_as(path, name_in(path))
    }

    /// The same, for a method whose name is known.
    pub(crate) fn learn_as(&self, path: &str, name: &str) -> Option<Known> {
        if let Some(known) = self.get(path) {
            return Some(known);
        }
        let is_full = self.by_path.read().unwrap_or_else(PoisonError::into_inner).len() >= MOST_KNOWN;
        (!is_full).then(|| {
            let method = Known::Layer(Arc::new(make(self.side, name, Some(path), &self.target)));
            self.insert(path, method.clone());
            method
        })
    }

    /// Knows the methods with these full names.
    pub(crate) fn learn_names(&self, names: impl IntoIterator<Item: AsRef<str>>) {
        for name in names {
            let name = name_in(name.as_ref());
            self.learn(&format!("/{name}"));
        }
    }

    /// `server.address` and `server.port` of a client's target.
    pub(crate) fn target(&self) -> &Arc<[KeyValue]> {
        &self.target
    }
}

fn make(side: Side, name: &str, path: Option<&str>, target: &[KeyValue]) -> Method {
    match side {
        Side::Server => Method::served(name, path),
        Side::Client => Method::called(name, path, target),
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
