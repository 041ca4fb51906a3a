//! Which RPCs a layer records.
//!
//! A [`Filter`] says of a request whether its RPC is recorded. One that is not has neither a span nor metrics, on the [server](crate::ServerLayer) not even where its service is
//! [annotated](crate::traced_service). The ready-made ones are named as those of other languages' instrumentations.
//!
//! # Example
//!
//! Everything but health checks, and what one service is asked by a probe:
//!
//! ```
//! use otel_runtime::filter::{all, health_check, not, service};
//! use otel_runtime::{Filter, RpcRequest, ServerLayer};
//!
//! let from_the_probe = Filter::new(|request: &RpcRequest<'_>| request.headers().contains_key("x-probe"));
//! let layer = ServerLayer::new().filter(not(health_check())).filter(not(all([service("helloworld.Greeter"), from_the_probe])));
//! # let _ = layer;
//! ```

use std::fmt;
use std::sync::Arc;

use crate::RpcRequest;
use crate::guard;

/// Says of a request whether its RPC is recorded. Clones are cheap.
#[derive(Clone)]
pub struct Filter(Arc<dyn Fn(&RpcRequest<'_>) -> bool + Send + Sync>);

impl Filter {
    /// Records the RPCs for whose requests the function says `true`. One for which it [panics](crate#a-panic-in-what-you-give-it) is recorded.
    pub fn new(is_recorded: impl Fn(&RpcRequest<'_>) -> bool + Send + Sync + 'static) -> Self {
        Filter(Arc::new(is_recorded))
    }

    pub(crate) fn should_record(&self, request: &RpcRequest<'_>) -> bool {
        guard::FILTER.run(|| (self.0)(request)).unwrap_or(true)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

/// Those that one of the filters records; none, where there is no filter.
pub fn any(filters: impl IntoIterator<Item = Filter>) -> Filter {
    let filters: Vec<Filter> = filters.into_iter().collect();
    Filter::new(move |request| filters.iter().any(|filter| filter.should_record(request)))
}

/// Those that all of the filters record.
pub fn all(filters: impl IntoIterator<Item = Filter>) -> Filter {
    let filters: Vec<Filter> = filters.into_iter().collect();
    Filter::new(move |request| filters.iter().all(|filter| filter.should_record(request)))
}

/// Those that the filter does not record.
#[must_use]
pub fn not(filter: Filter) -> Filter {
    Filter::new(move |request| !filter.should_record(request))
}

/// Those of the service with this full name: `helloworld.Greeter`.
pub fn service(name: impl Into<String>) -> Filter {
    let name = name.into();
    Filter::new(move |request| request.service() == name)
}

/// Those of the services whose full name starts so: `helloworld.`.
pub fn service_prefix(prefix: impl Into<String>) -> Filter {
    let prefix = prefix.into();
    Filter::new(move |request| request.service().starts_with(&prefix))
}

/// Those of the method with this full name: `helloworld.Greeter/SayHello`.
pub fn method(name: impl Into<String>) -> Filter {
    let name = name.into();
    Filter::new(move |request| request.path().strip_prefix('/') == Some(&name))
}

/// Those of [gRPC's health service](https://github.com/grpc/grpc/blob/master/doc/health-checking.md), `grpc.health.v1.Health`.
#[must_use]
pub fn health_check() -> Filter {
    service("grpc.health.v1.Health")
}

/// Those of [gRPC's reflection service](https://github.com/grpc/grpc/blob/master/doc/server-reflection.md), in any of its versions.
#[must_use]
pub fn reflection() -> Filter {
    any(["v1", "v1alpha"].map(|version| service(format!("grpc.reflection.{version}.ServerReflection"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn should_record(filter: &Filter, path: &'static str) -> bool {
        let request = http::Request::builder().uri(path).body(()).unwrap();
        filter.should_record(&RpcRequest::from_http(&request))
    }

    const HELLO: &str = "/helloworld.Greeter/SayHello";
    const BYE: &str = "/helloworld.Greeter/SayBye";
    const CHECK: &str = "/grpc.health.v1.Health/Check";
    const REFLECT: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

    #[test]
    fn each_records_its_own() {
        for (filter, recorded) in [
            (service("helloworld.Greeter"), vec![HELLO, BYE]),
            (service("helloworld"), vec![]),
            (service_prefix("grpc."), vec![CHECK, REFLECT]),
            (method("helloworld.Greeter/SayHello"), vec![HELLO]),
            (method("/helloworld.Greeter/SayHello"), vec![]),
            (health_check(), vec![CHECK]),
            (reflection(), vec![REFLECT]),
            (not(health_check()), vec![HELLO, BYE, REFLECT]),
            (any([health_check(), reflection()]), vec![CHECK, REFLECT]),
            (any([]), vec![]),
            (all([]), vec![HELLO, BYE, CHECK, REFLECT]),
            (
                all([service("helloworld.Greeter"), not(method("helloworld.Greeter/SayBye"))]),
                vec![HELLO],
            ),
        ] {
            let found: Vec<_> = [HELLO, BYE, CHECK, REFLECT]
                .into_iter()
                .filter(|path| should_record(&filter, path))
                .collect();
            assert_eq!(found, recorded);
        }
    }

    #[test]
    fn one_that_panics_should_record() {
        assert!(should_record(&Filter::new(|_| panic!("on purpose")), HELLO));
    }
}
