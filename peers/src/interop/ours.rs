//! Our services, and the calls of our client.

use std::time::Duration;

use integration_tests::client::Kind;
use integration_tests::kinds::Message;
use integration_tests::kinds::bidi_client::BidiClient;
use integration_tests::kinds::bidi_server::BidiServer;
use integration_tests::kinds::client_stream_client::ClientStreamClient;
use integration_tests::kinds::client_stream_server::ClientStreamServer;
use integration_tests::kinds::server_stream_client::ServerStreamClient;
use integration_tests::kinds::server_stream_server::ServerStreamServer;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::UnaryServer;
use integration_tests::scripted::{Annotated, LARGE, ScriptedService};
use otel_runtime::TracedChannel;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::service::Routes;
use tonic::{Request, Status};

use super::End;

/// The deadline of calls that do not end before it.
pub(super) const DEADLINE: Duration = Duration::from_millis(200);

/// Returns our services, which accept compressed requests.
pub(super) fn routes_with_gzip(handler: &ScriptedService) -> Routes {
    macro_rules! gzip {
        ($server:ident) => {
            $server::new(Annotated(handler.clone()))
                .accept_compressed(Gzip)
                .send_compressed(Gzip)
        };
    }
    Routes::new(gzip!(UnaryServer))
        .add_service(gzip!(ServerStreamServer))
        .add_service(gzip!(ClientStreamServer))
        .add_service(gzip!(BidiServer))
}

/// Makes a call with one message, and reads its response to the end.
pub(super) async fn call(channel: TracedChannel, kind: Kind, end: End) -> Result<(), Status> {
    let text = match end {
        End::LargeRequest => "x".repeat(LARGE),
        _ => end.text().to_owned(),
    };
    let mut request = Request::new(Message { text });
    if end == End::Deadline {
        request.set_timeout(DEADLINE);
    }
    if end == End::Unknown {
        return call_unknown(channel, kind, request).await;
    }
    macro_rules! client {
        ($client:ident) => {
            match end {
                End::Gzip => $client::new(channel)
                    .send_compressed(Gzip)
                    .accept_compressed(Gzip),
                _ => $client::new(channel),
            }
        };
    }
    let mut replies = match kind {
        Kind::Unary => return client!(UnaryClient).call(request).await.map(drop),
        Kind::ClientStream => {
            let request = request.map(tokio_stream::once);
            return client!(ClientStreamClient).call(request).await.map(drop);
        }
        Kind::ServerStream => client!(ServerStreamClient).call(request).await?,
        Kind::Bidi => client!(BidiClient).call(request.map(tokio_stream::once)).await?,
    };
    while replies.get_mut().message().await?.is_some() {}
    Ok(())
}

/// Calls a method that the service of the kind does not have.
async fn call_unknown(channel: TracedChannel, kind: Kind, request: Request<Message>) -> Result<(), Status> {
    let path = PathAndQuery::try_from(format!("/kinds.{kind:?}/Unknown")).unwrap();
    let codec = tonic_prost::ProstCodec::<Message, Message>::default();
    let mut client = tonic::client::Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let request = request.map(tokio_stream::once);
    let mut replies = client.streaming(request, path, codec).await?;
    while replies.get_mut().message().await?.is_some() {}
    Ok(())
}
