//! A client that calls any method by its name.
//!
//! On the wire, every kind of RPC is a stream in both directions.

use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::kinds::Message;

/// Returns a request with one message.
#[must_use]
pub fn request(text: &str) -> Request<Message> {
    Request::new(Message::from(text))
}

/// Calls `pkg.Service/Method` with one message.
///
/// # Errors
///
/// Returns the server's status if the RPC fails before the response.
pub async fn call(
    channel: Channel,
    rpc: &str,
    request: Request<Message>,
) -> Result<Response<Streaming<Message>>, Status> {
    call_with_stream(channel, rpc, request.map(tokio_stream::once)).await
}

/// Calls `pkg.Service/Method` with a stream of messages.
///
/// # Errors
///
/// Returns the server's status if the RPC fails before the response.
pub async fn call_with_stream(
    channel: Channel,
    rpc: &str,
    messages: Request<impl Stream<Item = Message> + Send + 'static>,
) -> Result<Response<Streaming<Message>>, Status> {
    let mut client = Grpc::new(channel);
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::try_from(format!("/{rpc}")).unwrap();
    client.streaming(messages, path, ProstCodec::default()).await
}

/// Calls `pkg.Service/Method` with one message, and reads the response to its end.
///
/// Returns the number of messages received, and the status.
pub async fn call_to_end(channel: Channel, rpc: &str, request: Request<Message>) -> (usize, Status) {
    read_to_end(call(channel, rpc, request).await).await
}

/// Reads a response to its end, and returns the number of messages and the status.
pub async fn read_to_end(response: Result<Response<Streaming<Message>>, Status>) -> (usize, Status) {
    let mut messages = 0;
    let read = async {
        let mut replies = response?.into_inner();
        while replies.message().await?.is_some() {
            messages += 1;
        }
        Ok(())
    };
    let end = read.await.err().unwrap_or_else(|| Status::new(Code::Ok, ""));
    (messages, end)
}
