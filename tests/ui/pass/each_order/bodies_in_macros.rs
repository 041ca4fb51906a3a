#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(&self, request: Request<u32>) -> Result<Response<String>, Status>;
    async fn hum(&self, request: Request<u32>) -> Result<Response<String>, Status>;
}

macro_rules! refuse_if {
    ($condition:expr, $($message:tt)*) => {
        if $condition {
            return Err(Status::invalid_argument(format!($($message)*)));
        }
    };
}

macro_rules! reply {
    ($reply:expr) => {
        return Ok(Response::new($reply))
    };
}

macro_rules! in_time {
    ($($body:tt)*) => {
        tokio::time::timeout(std::time::Duration::from_secs(1), async move { $($body)* })
            .await
            .map_err(|_| Status::aborted("too slow"))?
    };
}

macro_rules! whole_body {
    ($this:ident, $request:ident) => {{
        let number = $request.into_inner();
        refuse_if!(number == 0, "nothing");
        in_time! {
            tokio::task::yield_now().await;
            Ok(Response::new($this.named(number)?))
        }
    }};
}

struct MyChat;

impl MyChat {
    const LIMIT: usize = 100;

    fn named(&self, number: u32) -> Result<String, Status> {
        refuse_if!(number > 9, "{number} is too large");
        Ok(number.to_string())
    }

    fn lines(text: &str) -> impl Stream<Item = Result<String, Status>> + use<> {
        tokio_stream::iter(text.lines().map(|line| Ok(line.to_owned())).collect::<Vec<_>>())
    }
}

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let text = request.into_inner();
        refuse_if!(text.len() > Self::LIMIT, "more than {}", Self::LIMIT);
        let Some(first) = text.lines().next() else {
            reply!(Box::pin(tokio_stream::empty()));
        };
        refuse_if!(first.is_empty(), "an empty line");
        reply!(Box::pin(Self::lines(&text)));
    }

    async fn listen(&self, request: Request<u32>) -> Result<Response<String>, Status> {
        whole_body!(self, request)
    }

    async fn hum(&self, request: Request<u32>) -> Result<Response<String>, Status> {
        let number = request.into_inner();
        let bytes = number.to_be_bytes();
        let first = bytes[0];
        let Some(first) = char::from_u32(u32::from(first)) else { unreachable!() };
        let name = Self::named(self, number)?;
        Ok(Response::new(format!("{first}{name}")))
    }
}

struct Below;

#[tonic::async_trait]
#[traced_service]
impl Chat for Below {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        let text = request.into_inner();
        refuse_if!(text.is_empty(), "nothing");
        reply!(Box::pin(MyChat::lines(&text)));
    }

    async fn listen(&self, request: Request<u32>) -> Result<Response<String>, Status> {
        let this = MyChat;
        whole_body!(this, request)
    }

    async fn hum(&self, request: Request<u32>) -> Result<Response<String>, Status> {
        in_time!(MyChat.hum(request).await)
    }
}
