//! Services of various types: `self: Arc<Self>`, generics, lifetimes, trait objects.

use std::fmt::Display;
use std::sync::Arc;

use integration_tests::kinds::Message;
use integration_tests::kinds::unary_client::UnaryClient;
use integration_tests::kinds::unary_server::{Unary, UnaryServer};
use integration_tests::kinds_arc_self as arc_self;
use integration_tests::server::serve;
use integration_tests::telemetry::{Telemetry, attributes};
use otel_runtime::traced_service;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

async fn assert_replies(routes: Routes, reply: &str) {
    let telemetry = Telemetry::start();
    let server = serve(routes).await;
    let received = UnaryClient::new(server.channel().await)
        .call(Message::from(""))
        .await
        .unwrap();
    assert_eq!(received.into_inner().text, reply);
    let span = telemetry.span().await;
    assert_eq!(span.name, "kinds.Unary/Call");
    assert_eq!(attributes(&span.attributes)["rpc.status_code"], "OK");
}

struct Named(&'static str);

#[traced_service]
#[tonic::async_trait]
impl arc_self::unary_server::Unary for Named {
    async fn call(self: Arc<Self>, _: Request<arc_self::Message>) -> Result<Response<arc_self::Message>, Status> {
        let this = Arc::clone(&self);
        Ok(Response::new(arc_self::Message {
            text: this.0.to_owned(),
        }))
    }
}

#[tokio::test]
async fn self_behind_an_arc() {
    let service = arc_self::unary_server::UnaryServer::new(Named("by arc"));
    assert_replies(Routes::new(service), "by arc").await;
}

struct Generic<T, const N: usize>(T);

#[traced_service]
#[tonic::async_trait]
impl<T, const N: usize> Unary for Generic<T, N>
where
    T: Display + Send + Sync + 'static,
{
    async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(Message {
            text: format!("{} {N}", self.0),
        }))
    }
}

#[tokio::test]
async fn generic_over_a_type_and_a_constant() {
    assert_replies(Routes::new(UnaryServer::new(Generic::<_, 3>("three is"))), "three is 3").await;
    assert_replies(Routes::new(UnaryServer::new(Generic::<_, 5>(4))), "4 5").await;
}

trait Says: Send + Sync + 'static {
    fn say(&self) -> String;
}

struct Hello;

impl Says for Hello {
    fn say(&self) -> String {
        "hello".to_owned()
    }
}

#[traced_service]
#[tonic::async_trait]
impl Unary for Box<dyn Says> {
    async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(Message { text: self.say() }))
    }
}

#[tokio::test]
async fn box_of_a_trait_object() {
    assert_replies(Routes::new(UnaryServer::new(Box::new(Hello) as Box<dyn Says>)), "hello").await;
}

struct Borrowed<'a>(&'a str);

#[traced_service]
#[tonic::async_trait]
impl<'a> Unary for Borrowed<'a>
where
    'a: 'static,
{
    async fn call(&self, _: Request<Message>) -> Result<Response<Message>, Status> {
        Ok(Response::new(Message::from(self.0)))
    }
}

#[tokio::test]
async fn with_a_lifetime() {
    assert_replies(Routes::new(UnaryServer::new(Borrowed("borrowed"))), "borrowed").await;
}
