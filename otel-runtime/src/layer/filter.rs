//! Filters that select the RPCs that a layer records.
//!
//! If a [`Filter`] rejects a request, its RPC has neither a span nor metrics. On the
//! [server](crate::ServerLayer) this includes services with
//! [`#[traced_service]`](crate::traced_service).
//!
//! The filters are named as in OpenTelemetry's gRPC instrumentations for other languages.
//!
//! # Example
//!
//! Record everything but health checks, and the calls of a probe to one service:
//!
//! ```
//! use otel_runtime::filter::{all, health_check, not, service};
//! use otel_runtime::{Filter, RpcRequest, ServerLayer};
//!
//! let from_the_probe = Filter::new(|request: &RpcRequest<'_>| request.headers().contains_key("x-probe"));
//! let layer = ServerLayer::new().filter(not(health_check())).filter(not(all([service("helloworld.Greeter"), from_the_probe])));
//! # let _ = layer;
//! ```
//!
//! # Off by a setting
//!
//! A filter that knows a setting switches a layer on and off:
//!
//! ```
//! use otel_runtime::{ClientLayer, Filter, ServerLayer};
//! use tonic::transport::Server;
//!
//! let is_on = std::env::var("TELEMETRY").is_ok();
//! let by_setting = Filter::new(move |_| is_on);
//! let server = Server::builder().layer(ServerLayer::new().filter(by_setting.clone()));
//! let client = ClientLayer::new("shop.example:50051").filter(by_setting);
//! # let _ = (server, client);
//! ```
//!
//! `tower::util::option_layer` does not compile around tonic: with the layer, the body of the
//! response, and a client's error, have other types than without it. Without its layer, a service
//! with [`#[traced_service]`](crate::traced_service) would also go on to record its calls.
//!
//! A setting that ends all telemetry of the process, not only that of a layer, is otel-setup's
//! `OTEL_SDK_DISABLED=true`. Without otel-setup, set no providers: nothing is recorded then.

use std::fmt;
use std::sync::Arc;

use super::request::RpcRequest;
use crate::guard;

/// A predicate on requests that decides which RPCs are recorded. Clones are cheap.
#[derive(Clone)]
pub struct Filter(Arc<dyn Fn(&RpcRequest<'_>) -> bool + Send + Sync>);

impl Filter {
    /// Creates a filter that records an RPC if the function returns `true` for its request.
    ///
    /// If the function [panics](crate::docs::emitted#panics), the RPC is recorded.
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

/// Combines filters with OR: an RPC is recorded if any of them matches.
///
/// An empty list records nothing.
pub fn any(filters: impl IntoIterator<Item = Filter>) -> Filter {
    let filters: Vec<Filter> = filters.into_iter().collect();
    Filter::new(move |request| filters.iter().any(|filter| filter.should_record(request)))
}

/// Combines filters with AND: an RPC is recorded if all of them match.
///
/// An empty list records everything.
pub fn all(filters: impl IntoIterator<Item = Filter>) -> Filter {
    let filters: Vec<Filter> = filters.into_iter().collect();
    Filter::new(move |request| filters.iter().all(|filter| filter.should_record(request)))
}

/// Negates a filter: an RPC is recorded if the filter does not match.
#[must_use]
pub fn not(filter: Filter) -> Filter {
    Filter::new(move |request| !filter.should_record(request))
}

/// Records the RPCs of the service with this full name, such as `helloworld.Greeter`, below any
/// prefix of the path.
pub fn service(name: impl Into<String>) -> Filter {
    let name = name.into();
    Filter::new(move |request| request.service() == name)
}

/// Records the RPCs of services whose full name has this prefix, such as `helloworld.`.
pub fn service_prefix(prefix: impl Into<String>) -> Filter {
    let prefix = prefix.into();
    Filter::new(move |request| request.service().starts_with(&prefix))
}

/// Records the RPCs of the method with this full name, such as `helloworld.Greeter/SayHello`, below
/// any prefix of the path.
pub fn method(name: impl Into<String>) -> Filter {
    let name = name.into();
    Filter::new(move |request| name.rsplit_once('/') == Some((request.service(), request.method())))
}

/// Records the RPCs of [gRPC's health service], `grpc.health.v1.Health`.
///
/// [gRPC's health service]: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
#[must_use]
pub fn health_check() -> Filter {
    service("grpc.health.v1.Health")
}

/// Records the RPCs of [gRPC's reflection service], in any of its versions.
///
/// [gRPC's reflection service]: https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
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
    fn each_filter_matches_its_requests() {
        for (filter, recorded) in [
            (service("helloworld.Greeter"), vec![HELLO, BYE]),
            (service("helloworld"), vec![]),
            (service_prefix("grpc."), vec![CHECK, REFLECT]),
            (method("helloworld.Greeter/SayHello"), vec![HELLO]),
            (method("/helloworld.Greeter/SayHello"), vec![]),
            (method("SayHello"), vec![]),
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
    fn a_prefix_of_the_path_does_not_matter() {
        for filter in [service("helloworld.Greeter"), method("helloworld.Greeter/SayHello")] {
            assert!(should_record(&filter, "/api/v1/helloworld.Greeter/SayHello"));
        }
        assert!(should_record(&health_check(), "/api/grpc.health.v1.Health/Check"));
        assert!(!should_record(&health_check(), "/grpc.health.v1.Health/api/Check"));
    }

    #[test]
    fn a_filter_that_panics_records() {
        assert!(should_record(&Filter::new(|_| panic!("on purpose")), HELLO));
    }
}
