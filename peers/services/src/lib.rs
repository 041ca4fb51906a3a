//! Services that return empty responses, and a client that calls any RPC.

// A test that panics has failed; that is what these are for.
#![allow(clippy::missing_panics_doc)]

use std::collections::BTreeMap;

use integration_tests::server::serve;
use integration_tests::telemetry::{Metrics, Telemetry, attributes, expected};
use opentelemetry::trace::SpanKind;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// Writes the impl of a large service. Attributes and the trait are passed through:
///
/// ```ignore
/// stubs! {
///     #[traced_service]
///     #[tonic::async_trait]
///     impl [control_server::Control] for MyControl {
///         unary info(InfoRequest) -> InfoResponse;
///         bidi session(BytesMessage) -> SessionStream of BytesMessage;
///     }
/// }
/// ```
///
/// A unary RPC is unimplemented and a server stream is empty. A client stream is read to its end,
/// and a bidirectional stream returns a response for each message.
#[macro_export]
macro_rules! stubs {
    (
        $(#[$($attribute:tt)*])*
        impl [$($trait:tt)*] for $service:ident { $($rpcs:tt)* }
    ) => {
        struct $service;

        $crate::stubs! { @ [$(#[$($attribute)*])* impl $($trait)* for $service] [] $($rpcs)* }
    };

    (@ [$($head:tt)*] [$($items:tt)*]) => {
        $($head)* { $($items)* }
    };

    (@ $head:tt [$($items:tt)*] unary $rpc:ident($request:ty) -> $reply:ty; $($rest:tt)*) => {
        $crate::stubs! { @ $head [
            $($items)*

            async fn $rpc(&self, _: ::tonic::Request<$request>) -> Result<::tonic::Response<$reply>, ::tonic::Status> {
                Err(::tonic::Status::unimplemented("not yet"))
            }
        ] $($rest)* }
    };

    (@ $head:tt [$($items:tt)*] client $rpc:ident($request:ty) -> $reply:ty; $($rest:tt)*) => {
        $crate::stubs! { @ $head [
            $($items)*

            async fn $rpc(
                &self,
                request: ::tonic::Request<::tonic::Streaming<$request>>,
            ) -> Result<::tonic::Response<$reply>, ::tonic::Status> {
                let mut messages = request.into_inner();
                while messages.message().await?.is_some() {}
                Ok(::tonic::Response::new(<$reply>::default()))
            }
        ] $($rest)* }
    };

    (@ $head:tt [$($items:tt)*] server $rpc:ident($request:ty) -> $stream:ident of $reply:ty; $($rest:tt)*) => {
        $crate::stubs! { @ $head [
            $($items)*

            type $stream = $crate::Boxed<$reply>;

            async fn $rpc(&self, _: ::tonic::Request<$request>) -> Result<::tonic::Response<Self::$stream>, ::tonic::Status> {
                Ok(::tonic::Response::new(Box::pin(::tokio_stream::empty())))
            }
        ] $($rest)* }
    };

    (@ $head:tt [$($items:tt)*] bidi $rpc:ident($request:ty) -> $stream:ident of $reply:ty; $($rest:tt)*) => {
        $crate::stubs! { @ $head [
            $($items)*

            type $stream = $crate::Boxed<$reply>;

            async fn $rpc(
                &self,
                request: ::tonic::Request<::tonic::Streaming<$request>>,
            ) -> Result<::tonic::Response<Self::$stream>, ::tonic::Status> {
                let replies = ::tokio_stream::StreamExt::map(request.into_inner(), |message| {
                    message?;
                    Ok(<$reply>::default())
                });
                Ok(::tonic::Response::new(Box::pin(replies)))
            }
        ] $($rest)* }
    };
}

/// A boxed response stream, which most services use.
pub type Boxed<T> = std::pin::Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

/// Calls each of the RPCs, `pkg.Service/Method`, over a socket with an empty message.
///
/// Asserts that each makes one SERVER span and one duration of exactly that name, with the status
/// code that the caller received.
pub async fn assert_each_is_one_rpc(routes: Routes, rpcs: &[&str]) {
    let telemetry = Telemetry::start();
    let server = serve(routes).await;
    let channel = server.channel().await;
    let mut answers = BTreeMap::new();
    for &rpc in rpcs {
        let code = call(channel.clone(), rpc).await;
        let previous = answers.insert(rpc.to_owned(), in_capitals(code));
        assert_eq!(previous, None, "{rpc} is listed twice");
    }

    let mut found = BTreeMap::new();
    for span in telemetry.spans(rpcs.len()).await {
        let of_span = attributes(&span.attributes);
        assert_eq!(span.span_kind, SpanKind::Server, "{}", span.name);
        assert_eq!(of_span["rpc.method"], span.name);
        found.insert(span.name.into_owned(), of_span["rpc.status_code"].clone());
    }
    assert_eq!(found, answers);

    let metrics = telemetry.metrics();
    let durations = metrics.durations();
    assert_eq!(durations.len(), rpcs.len());
    let counted: BTreeMap<_, _> = durations
        .into_iter()
        .map(|(point, count, _)| (point["rpc.method"].clone(), (point["rpc.status_code"].clone(), count)))
        .collect();
    for (rpc, code) in answers {
        assert_eq!(counted[&rpc], (code, 1), "{rpc}");
    }
    for rpc in rpcs {
        assert_none_is_active(&metrics, rpc);
    }
}

/// Asserts that one RPC, and no other, has been measured since the telemetry started, and has
/// ended.
pub fn assert_measured_once(telemetry: &Telemetry, rpc: &str, code: &str, is_error: bool) {
    let metrics = telemetry.metrics();
    let mut point = expected([
        ("rpc.system.name", "grpc"),
        ("rpc.method", rpc),
        ("rpc.status_code", code),
    ]);
    if is_error {
        point.insert("error.type".to_owned(), code.to_owned());
    }
    let durations: Vec<_> = metrics
        .durations()
        .into_iter()
        .map(|(point, count, _)| (point, count))
        .collect();
    assert_eq!(durations, [(point, 1)]);
    assert_none_is_active(&metrics, rpc);
}

/// Asserts that no request is active. Time series remain, so those of other tests may be there.
fn assert_none_is_active(metrics: &Metrics, rpc: &str) {
    let method = expected([("rpc.system.name", "grpc"), ("rpc.method", rpc)]);
    let active = metrics.active_requests();
    assert!(active.contains(&(method, 0)), "{rpc}: {active:?}");
}

/// Calls an RPC of any kind: on the wire, each is a bidirectional stream.
async fn call(channel: Channel, rpc: &str) -> Code {
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/{rpc}")).unwrap();
    let request = Request::new(tokio_stream::once(()));
    let replies = client.streaming(request, path, ProstCodec::<(), ()>::default()).await;
    let read = async {
        let mut replies = replies?.into_inner();
        while replies.message().await?.is_some() {}
        Ok::<_, Status>(())
    };
    read.await.map_or_else(|status| status.code(), |()| Code::Ok)
}

/// Returns the name of a status code that these services use.
fn in_capitals(code: Code) -> String {
    match code {
        Code::Ok => "OK",
        Code::NotFound => "NOT_FOUND",
        Code::Unimplemented => "UNIMPLEMENTED",
        other => panic!("no service ends with {other:?}"),
    }
    .to_owned()
}
