//! Patterns of captured headers: on the attribute, on both layers, and never for secrets.

use std::collections::BTreeMap;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::server::serve_with;
use integration_tests::telemetry::Telemetry;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::SpanData;
use otel_runtime::{ClientLayer, ServerLayer, traced_service};
use tonic::codegen::http;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tower::util::MapRequestLayer;
use tower::{Layer, ServiceBuilder};

const REQUEST: [&str; 3] = ["x-zone", "x-tenant-*", "a*"];
const RESPONSE: [&str; 1] = ["x-shard-*"];

/// Metadata with these names, and some that no pattern captures.
fn metadata(names: &[&'static str]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let secrets = ["authorization", "set-cookie", "x-tenant-token", "x-shard-api-key"];
    for name in secrets {
        metadata.insert(name, MetadataValue::from_static("s3cret"));
    }
    for name in names {
        metadata.insert(*name, MetadataValue::from_static("known"));
    }
    metadata
}

struct Sharded;

impl Sharded {
    fn reply(request: &Request<Message>) -> Result<Response<Message>, Status> {
        if request.get_ref().text == "fail" {
            let trailers = metadata(&["x-shard-name", "x-other"]);
            return Err(Status::with_metadata(Code::NotFound, "none", trailers));
        }
        let headers = metadata(&["x-shard-id", "x-other"]);
        Ok(Response::from_parts(
            headers,
            Message::default(),
            tonic::Extensions::new(),
        ))
    }
}

#[traced_service(
    request_headers("x-zone", "x-tenant-*", "a*"),
    response_headers("x-shard-*"),
    response_trailers("x-shard-*")
)]
#[tonic::async_trait]
impl Unary for Sharded {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Sharded::reply(&request)
    }
}

struct Plain;

#[tonic::async_trait]
impl Unary for Plain {
    async fn call(&self, request: Request<Message>) -> Result<Response<Message>, Status> {
        Sharded::reply(&request)
    }
}

/// Returns the captured headers of a span, and asserts that none is captured twice.
fn captured(span: &SpanData) -> BTreeMap<String, String> {
    let captured = span.attributes.iter().filter(|attribute| {
        let key = attribute.key.as_str();
        key.contains(".header.") || key.contains(".trailer.")
    });
    let mut found = BTreeMap::new();
    for attribute in captured {
        let earlier = found.insert(attribute.key.to_string(), attribute.value.to_string());
        assert_eq!(earlier, None, "{}", attribute.key);
    }
    found
}

fn expected<const N: usize>(names: [&str; N]) -> BTreeMap<String, String> {
    let value = |name: &str| {
        if name.ends_with("-bin") {
            "[\"AAE=\"]"
        } else {
            "[\"known\"]"
        }
    };
    names.map(|name| (name.to_owned(), value(name).to_owned())).into()
}

/// Marks a header as one that must not be stored.
fn mark(mut request: http::Request<tonic::body::Body>) -> http::Request<tonic::body::Body> {
    if let Some(value) = request.headers_mut().get_mut("x-tenant-private") {
        value.set_sensitive(true);
    }
    request
}

async fn serve_at(place: &str) -> integration_tests::server::RunningServer {
    let layer = || {
        ServerLayer::new()
            .request_headers(REQUEST)
            .response_headers(RESPONSE)
            .response_trailers(RESPONSE)
    };
    let marking = Server::builder().layer(MapRequestLayer::new(mark));
    let (plain, annotated) = (UnaryServer::new(Plain), UnaryServer::new(Sharded));
    match place {
        "attribute" => serve_with(marking, Routes::new(annotated)).await,
        "layer" => serve_with(marking.layer(layer()), Routes::new(plain)).await,
        "both" => serve_with(marking.layer(layer()), Routes::new(annotated)).await,
        // The attribute adds what the layer does not capture.
        "attribute and another layer" => {
            let layer = ServerLayer::new().request_headers(["x-tenant-id", "x-zone-*"]);
            serve_with(marking.layer(layer), Routes::new(annotated)).await
        }
        "layers" => serve_with(marking.layer(layer()).layer(layer()), Routes::new(plain)).await,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn capture_the_headers_that_they_match() {
    let request_headers = [
        "rpc.request.header.x-zone",
        "rpc.request.header.x-tenant-id",
        "rpc.request.header.x-tenant-trace-bin",
    ];
    for place in ["attribute", "layer", "both", "attribute and another layer", "layers"] {
        for text in ["", "fail"] {
            let telemetry = Telemetry::start();
            let server = serve_at(place).await;
            let layer = ClientLayer::new("here")
                .request_headers(REQUEST)
                .response_headers(RESPONSE)
                .response_trailers(RESPONSE);
            let mut request = Request::new(Message::from(text));
            *request.metadata_mut() = metadata(&["x-tenant-id", "x-tenant", "x-zone"]);
            let metadata = request.metadata_mut();
            metadata.insert_bin("x-tenant-trace-bin", MetadataValue::from_bytes(&[0, 1]));
            metadata.insert("x-tenant-private", MetadataValue::from_static("s3cret"));
            // The client's layer sees the mark as well.
            let channel = ServiceBuilder::new()
                .map_request(mark)
                .service(layer.layer(server.channel().await));
            let result = UnaryClient::new(channel).call(request).await;
            assert_eq!(result.is_err(), text == "fail");

            let response = if text == "fail" {
                "rpc.response.trailer.x-shard-name"
            } else {
                "rpc.response.header.x-shard-id"
            };
            let [zone, id, trace] = request_headers;
            for span in telemetry.spans(2).await {
                let kind = &span.span_kind;
                assert!(matches!(kind, SpanKind::Client | SpanKind::Server));
                assert_eq!(
                    captured(&span),
                    expected([zone, id, trace, response]),
                    "{place}: {kind:?}"
                );
            }
        }
    }
}

/// If 40 headers match, 32 are captured.
#[tokio::test]
async fn are_limited_in_number() {
    for place in ["attribute", "layer"] {
        let telemetry = Telemetry::start();
        let server = serve_at(place).await;
        let mut request = Request::new(Message::from(""));
        for number in 0..40 {
            let name: tonic::metadata::AsciiMetadataKey = format!("x-tenant-{number}").parse().unwrap();
            request.metadata_mut().insert(name, MetadataValue::from_static("known"));
        }
        request
            .metadata_mut()
            .insert("x-zone", MetadataValue::from_static("known"));
        UnaryClient::new(server.channel().await).call(request).await.unwrap();
        let found = captured(&telemetry.span().await);
        let count = |prefix: &str| found.keys().filter(|key| key.starts_with(prefix)).count();
        assert_eq!(count("rpc.request.header.x-tenant-"), 32, "{place}: {found:?}");
        assert_eq!(count("rpc.request.header."), 33, "{place}: {found:?}");
    }
}

/// Names that cannot be captured are ignored, with a word on what to write instead.
#[tokio::test]
async fn warn_of_what_captures_nothing() {
    for (listed, instead) in [
        ("*", None),
        ("x-*-id", None),
        ("x tenant", None),
        ("", None),
        ("authorization*", Some("auth")),
        ("Set-Cookie*", Some("cookie")),
        ("x-tenant-TOKEN-*", Some("token")),
    ] {
        let telemetry = Telemetry::start();
        let layer = ServerLayer::new().request_headers([listed, "X-Tenant-*"]);
        let warning = match instead {
            None => format!(
                "ignoring invalid header name {listed:?}, expected one such as \"x-tenant\", or a pattern such as \
                 \"x-tenant-*\""
            ),
            Some(secret) => format!(
                "ignoring header pattern {listed:?}, since headers with {secret:?} in their name hold secrets: write \
                 the name of each header"
            ),
        };
        let warnings: Vec<_> = telemetry.logs().into_iter().filter_map(|log| log.body).collect();
        assert_eq!(warnings, [warning], "{listed}");

        let server = serve_with(Server::builder().layer(layer), Routes::new(UnaryServer::new(Plain))).await;
        let mut request = Request::new(Message::from(""));
        *request.metadata_mut() = metadata(&["x-tenant-id", "x-zone"]);
        UnaryClient::new(server.channel().await).call(request).await.unwrap();
        let found = captured(&telemetry.span().await);
        assert_eq!(found, expected(["rpc.request.header.x-tenant-id"]), "{listed}");
    }
}

/// The macro rejects what the runtime never captures. Neither crate can see the other's list.
#[test]
fn the_attribute_and_the_layers_know_the_same_secrets() {
    let secrets = |path: &str| {
        let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        let (_, list) = source.split_once("const SECRETS: [").unwrap();
        let (_, list) = list.split_once("= [").unwrap();
        let (list, _) = list.split_once("];").unwrap();
        list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let of_layers = secrets("otel-runtime/src/attributes/header_pattern.rs");
    assert!(of_layers.contains(&"\"cookie\",".to_owned()), "{of_layers:?}");
    assert_eq!(secrets("otel-macros/src/args.rs"), of_layers);
}
