//! Attributes of the user's own on metrics, with a bounded number of values.

use std::collections::BTreeMap;

use integration_tests::client::{Kind, call, endpoint};
use integration_tests::kinds::Message;
use integration_tests::panics::{panics, quiet};
use integration_tests::rpc::{call_to_end, request};
use integration_tests::scripted::{Annotated, Plain, ScriptedService};
use integration_tests::server::{serve, serve_with};
use integration_tests::telemetry::{Attributes, Telemetry, attributes, expected};
use otel_runtime::{ClientLayer, RpcRequest, ServerLayer};
use tonic::Request;
use tonic::transport::Server;
use tower::Layer;

const RPC: &str = "kinds.Unary/Call";

/// Returns tenant and zone of a request.
fn values<'a>(request: &RpcRequest<'a>) -> [Option<&'a str>; 2] {
    ["x-tenant", "x-zone"].map(|name| request.headers().get(name).and_then(|value| value.to_str().ok()))
}

fn with_headers<T>(mut request: Request<T>, headers: &[(&'static str, &str)]) -> Request<T> {
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// Returns the expected attributes of an active request.
fn active(own: &[(&str, &str)]) -> Attributes {
    let mut point = expected([("rpc.system.name", "grpc"), ("rpc.method", RPC)]);
    point.extend(own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    point
}

#[tokio::test]
async fn durations_and_active_requests_have_them() {
    let handler = ScriptedService::default();
    for (routes, is_known) in [
        (Plain::routes(&handler), true),
        // The method becomes known while the first call runs.
        (Plain::routes(&handler), false),
        (Annotated::routes(&handler), false),
    ] {
        let telemetry = Telemetry::start();
        let layer = ServerLayer::new().metric_attributes(["app.tenant", "app.zone"], values);
        let layer = if is_known { layer.known_methods([RPC]) } else { layer };
        let server = serve_with(Server::builder().layer(layer), routes).await;
        let channel = server.channel().await;
        let headers = [("x-tenant", "acme"), ("x-zone", "north")];
        let own = [("app.tenant", "acme"), ("app.zone", "north")];
        let waiting = tokio::spawn({
            let (channel, request) = (channel.clone(), with_headers(request("wait"), &headers));
            async move { call_to_end(channel, RPC, request).await }
        });
        handler.waits().await;
        let running = telemetry.metrics().active_requests();
        if is_known {
            assert!(running.contains(&(active(&own), 1)), "{running:?}");
        }
        handler.release();
        waiting.await.unwrap();
        call_to_end(channel.clone(), RPC, with_headers(request("5"), &headers[..1])).await;
        // An empty value is none: Prometheus does not tell them apart.
        let empty = with_headers(request("0"), &[("x-tenant", ""), ("x-zone", "")]);
        call_to_end(channel.clone(), RPC, empty).await;
        call_to_end(channel, RPC, request("0")).await;
        telemetry.spans(4).await;

        let metrics = telemetry.metrics();
        assert_eq!(metrics.active_request_count(), 0);
        let durations: BTreeMap<Attributes, u64> = metrics
            .durations()
            .into_iter()
            .map(|(attributes, count, _)| (attributes, count))
            .collect();
        let point = |own: &[(&str, &str)], code: &str, count| {
            let mut point = active(own);
            point.insert("rpc.status_code".to_owned(), code.to_owned());
            (point, count)
        };
        let all = [
            point(&own, "OK", 1),
            point(&own[..1], "NOT_FOUND", 1),
            point(&[], "OK", 2),
        ];
        assert_eq!(durations, all.into());
    }
}

/// Calls with 500 tenants, once and again, and returns the tenants of the durations, with counts.
async fn count_tenants(layer: ServerLayer) -> BTreeMap<String, u64> {
    let telemetry = Telemetry::start();
    let routes = ScriptedService::default().routes();
    let server = serve_with(Server::builder().layer(layer.known_methods([RPC])), routes).await;
    let channel = server.channel().await;
    for _ in 0..2 {
        for number in 0..500 {
            let tenant = format!("tenant {number}");
            let request: Request<Message> = with_headers(request(""), &[("x-tenant", &tenant)]);
            call_to_end(channel.clone(), RPC, request).await;
        }
    }
    telemetry.spans(1000).await;
    let durations = telemetry.metrics().durations().into_iter();
    durations
        .map(|(mut attributes, count, _)| (attributes.remove("tenant").unwrap(), count))
        .collect()
}

#[tokio::test]
async fn further_values_are_other() {
    let layer = || ServerLayer::new().metric_attributes(["tenant"], |request| [values(request)[0]]);
    for (layer, limit) in [
        (layer(), 100),
        (layer().metric_attribute_limit(3), 3),
        (layer().metric_attribute_limit(0), 0),
        // In any order.
        (
            ServerLayer::new()
                .metric_attribute_limit(3)
                .metric_attributes(["tenant"], |request| [values(request)[0]]),
            3,
        ),
    ] {
        let tenants = count_tenants(layer).await;
        let mut expected: BTreeMap<String, u64> = (0..limit).map(|number| (format!("tenant {number}"), 2)).collect();
        expected.insert("_OTHER".to_owned(), 1000 - 2 * limit);
        assert_eq!(tenants, expected);
    }
}

/// Whenever it comes, a request without a tenant has none, and takes nobody's place.
#[tokio::test]
async fn a_request_without_values_is_never_other() {
    for (limit, requests, expected) in [
        (1, ["", "a", "b", ""], &[("", 2), ("_OTHER", 1), ("a", 1)][..]),
        (1, ["a", "b", "", "a"], &[("", 1), ("_OTHER", 1), ("a", 2)]),
        (0, ["a", "", "b", ""], &[("", 2), ("_OTHER", 2)]),
    ] {
        let telemetry = Telemetry::start();
        let layer = ServerLayer::new()
            .metric_attributes(["tenant"], |request| [values(request)[0]])
            .metric_attribute_limit(limit);
        let routes = ScriptedService::default().routes();
        let server = serve_with(Server::builder().layer(layer.known_methods([RPC])), routes).await;
        let channel = server.channel().await;
        for tenant in requests {
            let headers: &[_] = if tenant.is_empty() {
                &[]
            } else {
                &[("x-tenant", tenant)]
            };
            call_to_end(channel.clone(), RPC, with_headers(request(""), headers)).await;
        }
        telemetry.spans(4).await;
        let durations = telemetry.metrics().durations().into_iter();
        let found: BTreeMap<String, u64> = durations
            .map(|(mut attributes, count, _)| (attributes.remove("tenant").unwrap_or_default(), count))
            .collect();
        let expected = expected.iter().map(|(tenant, count)| ((*tenant).to_owned(), *count));
        assert_eq!(found, expected.collect(), "{limit} {requests:?}");
    }
}

#[tokio::test]
async fn clients_have_them_beside_their_target() {
    let telemetry = Telemetry::start();
    let server = serve(ScriptedService::default().routes()).await;
    let layer = ClientLayer::new("shop.example:50051").metric_attributes(["app.tenant", "app.zone"], values);
    let channel = layer.layer(endpoint(server.address).connect_lazy());
    let long = "x".repeat(300);
    let request = with_headers(Request::new(""), &[("x-tenant", &long)]);
    call(channel, Kind::Unary, request).await.unwrap();
    telemetry.span().await;
    let metrics = telemetry.metrics();
    let tenant = ("app.tenant", &long[..256]);
    let [(duration, 1, _)] = &metrics.client_durations()[..] else {
        panic!("expected one point: {metrics:?}")
    };
    let mut point = active(&[tenant, ("server.address", "shop.example"), ("server.port", "50051")]);
    point.insert("rpc.status_code".to_owned(), "OK".to_owned());
    assert_eq!(*duration, point);
    assert!(metrics.client_active_requests().contains(&(active(&[tenant]), 0)));
}

/// Keys that metrics have, keys without a name, and keys that are there twice.
#[tokio::test]
async fn warns_of_keys_that_cannot_be_recorded() {
    const ANYWAY: &str = "which metrics of RPCs have anyway: choose another name";
    const TWICE: &str = "which is there twice: write it once";
    const NO_NAME: &str = "which has no name: write one such as \"app.tenant\"";
    for (key, reason, is_of_clients) in [
        ("rpc.system.name", ANYWAY, false),
        ("rpc.method", ANYWAY, false),
        ("rpc.status_code", ANYWAY, false),
        ("error.type", ANYWAY, false),
        ("server.address", ANYWAY, true),
        ("server.port", ANYWAY, true),
        ("tenant", TWICE, false),
        ("", NO_NAME, false),
    ] {
        let telemetry = Telemetry::start();
        let keys = ["tenant", key];
        let of_server = ServerLayer::new()
            .known_methods([RPC])
            .metric_attributes(keys, |_| [Some("acme"), Some("ignored")]);
        let warning = format!("ignoring the metric attribute {key:?}, {reason}");
        let warnings = || -> Vec<String> { telemetry.logs().into_iter().filter_map(|log| log.body).collect() };
        assert_eq!(warnings(), vec![warning.clone(); usize::from(!is_of_clients)], "{key}");
        let of_client =
            ClientLayer::new("shop.example:50051").metric_attributes(keys, |_| [Some("acme"), Some("ignored")]);
        assert_eq!(warnings(), vec![warning; 2 - usize::from(is_of_clients)], "{key}");

        let routes = ScriptedService::default().routes();
        let own = serve_with(Server::builder().layer(of_server), routes).await;
        call(of_client.layer(own.channel().await), Kind::Unary, Request::new(""))
            .await
            .unwrap();
        telemetry.spans(2).await;
        let metrics = telemetry.metrics();
        let mut point = active(&[("tenant", "acme"), ("rpc.status_code", "OK")]);
        if is_of_clients {
            point.insert(key.to_owned(), "ignored".to_owned());
        }
        assert_eq!(metrics.durations()[0].0, point, "{key}");
        let target = [("server.address", "shop.example"), ("server.port", "50051")];
        point.extend(target.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert_eq!(metrics.client_durations()[0].0, point, "{key}");
    }
}

#[tokio::test]
async fn values_of_an_ignored_key_do_not_count() {
    let telemetry = Telemetry::start();
    let layer = ServerLayer::new()
        .known_methods([RPC])
        .metric_attributes(["tenant", "rpc.method"], |request| [Some("acme"), values(request)[0]])
        .metric_attribute_limit(1);
    let routes = ScriptedService::default().routes();
    let server = serve_with(Server::builder().layer(layer), routes).await;
    let channel = server.channel().await;
    for ignored in ["one", "two"] {
        call_to_end(
            channel.clone(),
            RPC,
            with_headers(request(""), &[("x-tenant", ignored)]),
        )
        .await;
    }
    telemetry.spans(2).await;
    let mut point = active(&[("tenant", "acme")]);
    point.insert("rpc.status_code".to_owned(), "OK".to_owned());
    let durations = telemetry.metrics().durations().into_iter();
    let counts: Vec<_> = durations.map(|(attributes, count, _)| (attributes, count)).collect();
    assert_eq!(counts, [(point, 2)]);
}

#[tokio::test]
async fn a_panic_leaves_them_out() {
    quiet();
    let telemetry = Telemetry::start();
    let layer = ServerLayer::new().metric_attributes(["tenant"], |_| panics());
    let routes = ScriptedService::default().routes();
    let server = serve_with(Server::builder().layer(layer.known_methods([RPC])), routes).await;
    call_to_end(server.channel().await, RPC, request("")).await;
    let span = attributes(&telemetry.span().await.attributes);
    assert_eq!(span["rpc.status_code"], "OK");
    let mut point = active(&[]);
    point.insert("rpc.status_code".to_owned(), "OK".to_owned());
    assert_eq!(telemetry.durations(1).await, [point]);
}
