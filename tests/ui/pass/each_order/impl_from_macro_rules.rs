#![deny(warnings)]

use std::pin::Pin;

use otel_runtime::traced_service;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
    async fn listen(&self, request: Request<()>) -> Result<Response<String>, Status>;
}

type Lines = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

macro_rules! chat {
    ($trait:path, $ty:ty, $stream:ty, { $($methods:tt)* }) => {
        #[traced_service]
        #[tonic::async_trait]
        impl $trait for $ty {
            type TalkStream = $stream;

            async fn listen(&self, _: Request<()>) -> Result<Response<String>, Status> {
                Ok(Response::new(String::new()))
            }

            $($methods)*
        }
    };
}

struct ByPath;

chat!(Chat, ByPath, Lines, {
    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
});

struct Whole;

macro_rules! whole {
    ($name:ident, $argument:ident, $body:block, $talk:ty) => {
        #[traced_service]
        #[tonic::async_trait]
        impl Chat for $name {
            type TalkStream = Lines;

            async fn talk(&self, $argument: Request<String>) -> Result<Response<$talk>, Status> $body

            async fn listen(&self, request: Request<()>) -> Result<Response<String>, Status> {
                Ok(Response::new(format!("{:?}", request.into_inner())))
            }
        }
    };
}

whole!(
    Whole,
    request,
    {
        let lines: Self::TalkStream = Box::pin(tokio_stream::once(Ok(request.into_inner())));
        Ok(Response::new(lines))
    },
    Self::TalkStream
);

struct ByExpression;

macro_rules! by_expression {
    ($request:ident => $reply:expr) => {
        #[traced_service]
        #[tonic::async_trait]
        impl Chat for ByExpression {
            type TalkStream = Lines;

            async fn talk(&self, $request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
                $reply
            }

            async fn listen(&self, __request: Request<()>) -> Result<Response<String>, Status> {
                Ok(Response::new(format!("{:?}", __request.into_inner())))
            }
        }
    };
}

by_expression!(hello => Ok(Response::new(Box::pin(tokio_stream::once(Ok(hello.into_inner()))))));

struct OfATraitType;

macro_rules! of_a_trait_type {
    ($trait:ty) => {
        #[traced_service]
        #[tonic::async_trait]
        impl $trait for OfATraitType {
            type TalkStream = Lines;

            async fn talk(&self, _: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
                Err(Status::unimplemented("talk"))
            }

            async fn listen(&self, _: Request<()>) -> Result<Response<String>, Status> {
                Err(Status::unimplemented("listen"))
            }
        }
    };
}

of_a_trait_type!(Chat);

struct AnItem;

macro_rules! an_item {
    ($item:item) => {
        #[traced_service]
        #[tonic::async_trait]
        $item
    };
}

an_item! {
    impl Chat for AnItem {
        type TalkStream = Lines;

        async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
            Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
        }

        async fn listen(&self, _request: Request<()>) -> Result<Response<String>, Status> {
            Err(Status::unimplemented("listen"))
        }
    }
}
