//! Spans and metrics have the names on the wire, for every way to write the impl.

use std::pin::Pin;

use integration_tests::names::Nothing;
use integration_tests::names::http_cache_client::HttpCacheClient;
use integration_tests::names::odd_client::OddClient;
use integration_tests::names::odd_server::{Odd, OddServer};
use integration_tests::names::{http_cache_server, odd_server};
use integration_tests::no_package::packageless_client::PackagelessClient;
use integration_tests::no_package::packageless_server::{Packageless as Renamed, PackagelessServer};
use integration_tests::no_package::{Pong, packageless_server};
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

type Nothings = Pin<Box<dyn Stream<Item = Result<Nothing, Status>> + Send>>;

/// Calls all methods of `names.v1.Odd`, and asserts their names on spans and metrics.
async fn assert_odd_names<S: Odd>(service: S) {
    let telemetry = Telemetry::start();
    let server = serve(Routes::new(OddServer::new(service))).await;
    let mut client = OddClient::new(server.channel().await);
    client.get_url(Nothing {}).await.unwrap();
    client.get_thing(Nothing {}).await.unwrap();
    client
        .list_v1(Nothing {})
        .await
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap();
    client.r#move(Nothing {}).await.unwrap();

    let expected = [
        "names.v1.Odd/GetURL",
        "names.v1.Odd/getThing",
        "names.v1.Odd/List_v1",
        "names.v1.Odd/Move",
    ];
    let spans = telemetry.spans(4).await;
    for (span, name) in spans.iter().zip(expected) {
        assert_eq!(span.name, name);
        assert_eq!(attributes(&span.attributes)["rpc.method"], name);
    }
    let metrics = telemetry.metrics();
    for name in expected {
        assert_eq!(
            metrics
                .durations()
                .iter()
                .filter(|(point, ..)| point["rpc.method"] == name)
                .count(),
            1
        );
        assert_eq!(
            metrics
                .active_requests()
                .iter()
                .filter(|(point, _)| point["rpc.method"] == name)
                .count(),
            1
        );
    }
    assert_eq!(metrics.duration_count(), 4);
}

/// Implements `names.v1.Odd` for a new type, with the given path of the trait.
macro_rules! odd_service {
    ($service:ident, $($odd:tt)*) => {
        struct $service;

        #[traced_service]
        #[tonic::async_trait]
        #[allow(non_camel_case_types)]
        impl $($odd)* for $service {
            type List_v1Stream = Nothings;

            async fn get_url(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
                Ok(Response::new(Nothing {}))
            }

            async fn get_thing(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
                Ok(Response::new(Nothing {}))
            }

            async fn list_v1(&self, _: Request<Nothing>) -> Result<Response<Self::List_v1Stream>, Status> {
                Ok(Response::new(Box::pin(tokio_stream::empty())))
            }

            async fn r#move(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
                Ok(Response::new(Nothing {}))
            }
        }
    };
}

#[tokio::test]
async fn trait_without_a_path() {
    odd_service!(Service, Odd);
    assert_odd_names(Service).await;
}

#[tokio::test]
async fn trait_with_a_module_path() {
    odd_service!(Service, odd_server::Odd);
    assert_odd_names(Service).await;
}

#[tokio::test]
async fn service_name_differs_from_the_trait_name() {
    struct Service;

    // The trait is `HttpCache`; the service is `HTTPCache`.
    #[traced_service]
    #[tonic::async_trait]
    impl http_cache_server::HttpCache for Service {
        async fn put_kv(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
            Ok(Response::new(Nothing {}))
        }
    }

    let telemetry = Telemetry::start();
    let server = serve(Routes::new(http_cache_server::HttpCacheServer::new(Service))).await;
    HttpCacheClient::new(server.channel().await)
        .put_kv(Nothing {})
        .await
        .unwrap();
    assert_eq!(telemetry.span().await.name, "names.v1.HTTPCache/PutKV");
}

async fn ping(service: impl Renamed) {
    let server = serve(Routes::new(PackagelessServer::new(service))).await;
    PackagelessClient::new(server.channel().await)
        .ping(Pong {})
        .await
        .unwrap();
}

#[tokio::test]
async fn service_without_a_package_and_renamed_trait() {
    struct Service;

    #[traced_service]
    #[tonic::async_trait]
    impl Renamed for Service {
        async fn ping(&self, _: Request<Pong>) -> Result<Response<Pong>, Status> {
            Ok(Response::new(Pong {}))
        }
    }

    let telemetry = Telemetry::start();
    ping(Service).await;
    assert_eq!(telemetry.span().await.name, "Packageless/Ping");
}

#[tokio::test]
async fn explicit_service_name() {
    struct Literal;

    #[traced_service(service = "renamed.Service")]
    #[tonic::async_trait]
    impl Renamed for Literal {
        async fn ping(&self, _: Request<Pong>) -> Result<Response<Pong>, Status> {
            Ok(Response::new(Pong {}))
        }
    }

    struct Constant;

    #[traced_service(service = packageless_server::SERVICE_NAME)]
    #[tonic::async_trait]
    impl Renamed for Constant {
        async fn ping(&self, _: Request<Pong>) -> Result<Response<Pong>, Status> {
            Ok(Response::new(Pong {}))
        }
    }

    let telemetry = Telemetry::start();
    ping(Literal).await;
    ping(Constant).await;
    let names: Vec<_> = telemetry.spans(2).await.into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["renamed.Service/Ping", "Packageless/Ping"]);
}

#[tokio::test]
async fn explicit_method_name() {
    struct Service;

    #[traced_service]
    #[tonic::async_trait]
    impl Renamed for Service {
        #[traced(name = "PING")]
        async fn ping(&self, _: Request<Pong>) -> Result<Response<Pong>, Status> {
            Ok(Response::new(Pong {}))
        }
    }

    let telemetry = Telemetry::start();
    ping(Service).await;
    assert_eq!(telemetry.span().await.name, "Packageless/PING");
}

#[tokio::test]
async fn handler_called_without_a_path_has_rust_names() {
    odd_service!(Service, Odd);
    let telemetry = Telemetry::start();
    Service.get_url(Request::new(Nothing {})).await.unwrap();
    Service.r#move(Request::new(Nothing {})).await.unwrap();
    drop(Service.list_v1(Request::new(Nothing {})).await.unwrap());
    let names: Vec<_> = telemetry.spans(3).await.into_iter().map(|span| span.name).collect();
    // The name of the stream type contains the exact name of a streaming RPC.
    assert_eq!(names, ["Odd/GetUrl", "Odd/Move", "Odd/List_v1"]);
}
