//! Generated code must not trigger lints: `cargo clippy -p integration-tests --all-targets`.
//!
//! Without the attribute, the code in this file triggers none.

#![deny(warnings, unused, let_underscore, rust_2018_idioms, unreachable_pub)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(elided_lifetimes_in_paths, single_use_lifetimes, unused_qualifications)]
#![deny(unused_lifetimes, unused_results, variant_size_differences, meta_variable_misuse)]
// The test does not call every method.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use examples::helloworld::greeter_server::Greeter;
use examples::helloworld::{HelloReply, HelloRequest};
use integration_tests::telemetry::Telemetry;
use otel_runtime::traced_service;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

/// A service with all four kinds of methods.
#[tonic::async_trait]
trait Chat {
    type TalkStream: Stream<Item = Result<String, Status>> + Send + 'static;
    type ListenStream: Stream<Item = Result<String, Status>> + Send + 'static;

    async fn say(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn listen(&self, request: Request<u32>) -> Result<Response<Self::ListenStream>, Status>;
    async fn collect(&self, request: Request<Streaming<String>>) -> Result<Response<u32>, Status>;
    async fn talk(&self, request: Request<Streaming<String>>) -> Result<Response<Self::TalkStream>, Status>;
}

#[derive(Debug, Default)]
struct MyChat {
    lines: Mutex<BTreeMap<u32, String>>,
}

impl MyChat {
    fn line(&self, number: u32) -> Option<String> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&number)
            .cloned()
    }

    fn add(&self, line: String) -> Result<u32, Full> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = u32::try_from(lines.len()).map_err(|_| Full)?;
        assert_eq!(lines.insert(number, line), None);
        drop(lines);
        Ok(number)
    }
}

#[derive(Debug)]
struct Full;

impl Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the chat is full")
    }
}

impl From<Full> for Status {
    fn from(full: Full) -> Self {
        Self::resource_exhausted(full.to_string())
    }
}

#[traced_service]
#[tonic::async_trait]
impl Chat for MyChat {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;
    type ListenStream = ReceiverStream<Result<String, Status>>;

    /// Has items in the body, early returns and conversions.
    async fn say(&self, request: Request<String>) -> Result<Response<String>, Status> {
        use std::fmt::Write;

        const LIMIT: usize = 100;

        struct Said<'a>(&'a str);

        impl Said<'_> {
            const fn is_too_long(&self) -> bool {
                self.0.len() > LIMIT
            }
        }

        fn shout(text: &str) -> String {
            text.to_uppercase()
        }

        let line = request.into_inner();
        if Said(&line).is_too_long() {
            return Err(Status::invalid_argument("too long"));
        }
        let mut answer = shout(&line);
        let number = self.add(line)?;
        write!(answer, " ({number})").map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(answer))
    }

    async fn listen(&self, request: Request<u32>) -> Result<Response<Self::ListenStream>, Status> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let line = self
            .line(request.into_inner())
            .ok_or_else(|| Status::not_found("no such line"))?;
        let sent = sender.send(Ok(line)).await;
        sent.map_err(|_| Status::internal("nobody listens"))?;
        Ok(Response::new(Self::ListenStream::new(receiver)))
    }

    async fn collect(&self, mut request: Request<Streaming<String>>) -> Result<Response<u32>, Status> {
        let mut count = 0;
        while let Some(line) = request.get_mut().message().await? {
            count = self.add(line)?;
        }
        Ok(Response::new(count))
    }

    async fn talk(&self, request: Request<Streaming<String>>) -> Result<Response<Self::TalkStream>, Status> {
        let echo = request.into_inner().map(|line| line.map(|line| line.to_lowercase()));
        Ok(Response::new(Box::pin(echo)))
    }
}

/// A service with the bodies of a stub: no `.await`, and some that never return.
struct Stub;

#[traced_service(service = "chat.Chat")]
#[tonic::async_trait]
impl Chat for Stub {
    type TalkStream = tokio_stream::Empty<Result<String, Status>>;
    type ListenStream = tokio_stream::Empty<Result<String, Status>>;

    async fn say(&self, _: Request<String>) -> Result<Response<String>, Status> {
        Err(Status::unimplemented("say"))
    }

    async fn listen(&self, _request: Request<u32>) -> Result<Response<Self::ListenStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn collect(&self, _: Request<Streaming<String>>) -> Result<Response<u32>, Status> {
        unreachable!("nobody collects")
    }

    async fn talk(&self, _: Request<Streaming<String>>) -> Result<Response<Self::TalkStream>, Status> {
        panic!("nobody talks")
    }
}

/// A generic service, with the attribute below `#[async_trait]`.
struct Wrapper<C>(C);

#[tonic::async_trait]
#[traced_service]
impl<C> Chat for Wrapper<C>
where
    C: Chat + Send + Sync,
{
    type TalkStream = C::TalkStream;
    type ListenStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn say(&self, request: Request<String>) -> Result<Response<String>, Status> {
        self.0.say(request).await
    }

    async fn listen(&self, request: Request<u32>) -> Result<Response<Self::ListenStream>, Status> {
        if *request.get_ref() == 0 {
            return Ok(Response::new(Box::pin(tokio_stream::empty())));
        }
        let lines = self.0.listen(request).await?;
        Ok(lines.map(|lines| Box::pin(lines) as Self::ListenStream))
    }

    async fn collect(&self, _: Request<Streaming<String>>) -> Result<Response<u32>, Status> {
        Err(Status::unimplemented("collect"))
    }

    async fn talk(&self, request: Request<Streaming<String>>) -> Result<Response<Self::TalkStream>, Status> {
        self.0.talk(request).await
    }
}

struct MyGreeter {
    greeting: &'static str,
}

#[traced_service(service = examples::helloworld::greeter_server::SERVICE_NAME)]
#[tonic::async_trait]
impl Greeter for MyGreeter {
    // The body's own future is large.
    #[allow(clippy::large_stack_arrays, clippy::large_futures)]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let letters = [0_u8; 20_000];
        tokio::task::yield_now().await;
        let HelloRequest { name } = request.into_inner();
        let message = format!("{}, {name}{}", self.greeting, letters.len());
        Ok(Response::new(HelloReply { message }))
    }
}

/// A trait as generated with tonic-build's `use_arc_self` and `generate_default_stubs`.
#[tonic::async_trait]
trait Stubs {
    async fn number(self: Arc<Self>, _: Request<u32>) -> Result<Response<u32>, Status> {
        Err(Status::unimplemented("number"))
    }

    async fn numbers(self: Arc<Self>, _: Request<u32>) -> Result<Response<BoxStream<u32>>, Status> {
        Err(Status::unimplemented("numbers"))
    }
}

struct Numbers(u32);

#[traced_service]
#[tonic::async_trait]
impl Stubs for Numbers {
    async fn number(self: Arc<Self>, request: Request<u32>) -> Result<Response<u32>, Status> {
        request
            .into_inner()
            .checked_add(self.0)
            .map_or_else(|| Err(Status::out_of_range("too large")), |sum| Ok(sum.into()))
    }

    async fn numbers(self: Arc<Self>, request: Request<u32>) -> Result<Response<BoxStream<u32>>, Status> {
        let last = request.into_inner();
        match last.checked_sub(self.0) {
            Some(_) => Ok(Response::new(Box::pin(tokio_stream::iter((self.0..last).map(Ok))))),
            None => Err(Status::out_of_range("too small")),
        }
    }
}

struct Instrumented;

#[traced_service]
#[tonic::async_trait]
impl Greeter for Instrumented {
    #[tracing::instrument(skip(self, request), err, fields(name = %request.get_ref().name))]
    async fn say_hello(&self, request: Request<HelloRequest>) -> Result<Response<HelloReply>, Status> {
        let message = request.into_inner().name;
        Ok(Response::new(HelloReply { message }))
    }
}

/// A trait without `#[async_trait]`, which would add type hints to the bodies.
trait Native {
    type TalkStream: Stream<Item = Result<String, Status>>;

    async fn say(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn shout(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn fall_silent(&self, request: Request<String>) -> Result<Response<String>, Status>;
    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status>;
}

struct Voice;

#[traced_service]
impl Native for Voice {
    type TalkStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn say(&self, request: Request<String>) -> Result<Response<String>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn shout(&self, mut request: Request<String>) -> Result<Response<String>, Status> {
        use std::fmt::Write;

        const MARK: char = '!';

        let line = request.get_mut();
        if line.is_empty() {
            return Err(Full.into());
        }
        write!(line, "{MARK}").map_err(|error| Status::internal(error.to_string()))?;
        Ok(request.into_inner().into())
    }

    async fn fall_silent(&self, _: Request<String>) -> Result<Response<String>, Status> {
        loop {
            tokio::task::yield_now().await;
        }
    }

    async fn talk(&self, request: Request<String>) -> Result<Response<Self::TalkStream>, Status> {
        if request.get_ref().is_empty() {
            return Ok(Response::new(Box::pin(tokio_stream::empty())));
        }
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(request.into_inner())))))
    }
}

/// A service desugared by hand, as `#[async_trait]` would do it.
struct ByHand;

type Said<'a> = dyn Future<Output = Result<Response<HelloReply>, Status>> + Send + 'a;

#[traced_service]
impl Greeter for ByHand {
    fn say_hello<'life0, 'async_trait>(
        &'life0 self,
        request: Request<HelloRequest>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<HelloReply>, Status>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
    {
        let message = request.into_inner().name;
        if message.is_empty() {
            return Box::pin(std::future::ready(Err(Status::invalid_argument("no name"))));
        }
        let said: Box<Said<'_>> = Box::new(async move { Ok(Response::new(HelloReply { message })) });
        said.into()
    }
}

/// A method of the maximum length that clippy allows (`too_many_lines`).
struct Long;

#[traced_service]
#[tonic::async_trait]
impl Stubs for Long {
    #[rustfmt::skip]
    async fn number(self: Arc<Self>, request: Request<u32>) -> Result<Response<u32>, Status> {
        let mut total = request.into_inner();
        total = total.wrapping_mul(31).wrapping_add(0);
        total = total.wrapping_mul(31).wrapping_add(1);
        total = total.wrapping_mul(31).wrapping_add(2);
        total = total.wrapping_mul(31).wrapping_add(3);
        total = total.wrapping_mul(31).wrapping_add(4);
        total = total.wrapping_mul(31).wrapping_add(5);
        total = total.wrapping_mul(31).wrapping_add(6);
        total = total.wrapping_mul(31).wrapping_add(7);
        total = total.wrapping_mul(31).wrapping_add(8);
        total = total.wrapping_mul(31).wrapping_add(9);
        total = total.wrapping_mul(31).wrapping_add(10);
        total = total.wrapping_mul(31).wrapping_add(11);
        total = total.wrapping_mul(31).wrapping_add(12);
        total = total.wrapping_mul(31).wrapping_add(13);
        total = total.wrapping_mul(31).wrapping_add(14);
        total = total.wrapping_mul(31).wrapping_add(15);
        total = total.wrapping_mul(31).wrapping_add(16);
        total = total.wrapping_mul(31).wrapping_add(17);
        total = total.wrapping_mul(31).wrapping_add(18);
        total = total.wrapping_mul(31).wrapping_add(19);
        total = total.wrapping_mul(31).wrapping_add(20);
        total = total.wrapping_mul(31).wrapping_add(21);
        total = total.wrapping_mul(31).wrapping_add(22);
        total = total.wrapping_mul(31).wrapping_add(23);
        total = total.wrapping_mul(31).wrapping_add(24);
        total = total.wrapping_mul(31).wrapping_add(25);
        total = total.wrapping_mul(31).wrapping_add(26);
        total = total.wrapping_mul(31).wrapping_add(27);
        total = total.wrapping_mul(31).wrapping_add(28);
        total = total.wrapping_mul(31).wrapping_add(29);
        total = total.wrapping_mul(31).wrapping_add(30);
        total = total.wrapping_mul(31).wrapping_add(31);
        total = total.wrapping_mul(31).wrapping_add(32);
        total = total.wrapping_mul(31).wrapping_add(33);
        total = total.wrapping_mul(31).wrapping_add(34);
        total = total.wrapping_mul(31).wrapping_add(35);
        total = total.wrapping_mul(31).wrapping_add(36);
        total = total.wrapping_mul(31).wrapping_add(37);
        total = total.wrapping_mul(31).wrapping_add(38);
        total = total.wrapping_mul(31).wrapping_add(39);
        total = total.wrapping_mul(31).wrapping_add(40);
        total = total.wrapping_mul(31).wrapping_add(41);
        total = total.wrapping_mul(31).wrapping_add(42);
        total = total.wrapping_mul(31).wrapping_add(43);
        total = total.wrapping_mul(31).wrapping_add(44);
        total = total.wrapping_mul(31).wrapping_add(45);
        total = total.wrapping_mul(31).wrapping_add(46);
        total = total.wrapping_mul(31).wrapping_add(47);
        total = total.wrapping_mul(31).wrapping_add(48);
        total = total.wrapping_mul(31).wrapping_add(49);
        total = total.wrapping_mul(31).wrapping_add(50);
        total = total.wrapping_mul(31).wrapping_add(51);
        total = total.wrapping_mul(31).wrapping_add(52);
        total = total.wrapping_mul(31).wrapping_add(53);
        total = total.wrapping_mul(31).wrapping_add(54);
        total = total.wrapping_mul(31).wrapping_add(55);
        total = total.wrapping_mul(31).wrapping_add(56);
        total = total.wrapping_mul(31).wrapping_add(57);
        total = total.wrapping_mul(31).wrapping_add(58);
        total = total.wrapping_mul(31).wrapping_add(59);
        total = total.wrapping_mul(31).wrapping_add(60);
        total = total.wrapping_mul(31).wrapping_add(61);
        total = total.wrapping_mul(31).wrapping_add(62);
        total = total.wrapping_mul(31).wrapping_add(63);
        total = total.wrapping_mul(31).wrapping_add(64);
        total = total.wrapping_mul(31).wrapping_add(65);
        total = total.wrapping_mul(31).wrapping_add(66);
        total = total.wrapping_mul(31).wrapping_add(67);
        total = total.wrapping_mul(31).wrapping_add(68);
        total = total.wrapping_mul(31).wrapping_add(69);
        total = total.wrapping_mul(31).wrapping_add(70);
        total = total.wrapping_mul(31).wrapping_add(71);
        total = total.wrapping_mul(31).wrapping_add(72);
        total = total.wrapping_mul(31).wrapping_add(73);
        total = total.wrapping_mul(31).wrapping_add(74);
        total = total.wrapping_mul(31).wrapping_add(75);
        total = total.wrapping_mul(31).wrapping_add(76);
        total = total.wrapping_mul(31).wrapping_add(77);
        total = total.wrapping_mul(31).wrapping_add(78);
        total = total.wrapping_mul(31).wrapping_add(79);
        total = total.wrapping_mul(31).wrapping_add(80);
        total = total.wrapping_mul(31).wrapping_add(81);
        total = total.wrapping_mul(31).wrapping_add(82);
        total = total.wrapping_mul(31).wrapping_add(83);
        total = total.wrapping_mul(31).wrapping_add(84);
        total = total.wrapping_mul(31).wrapping_add(85);
        total = total.wrapping_mul(31).wrapping_add(86);
        total = total.wrapping_mul(31).wrapping_add(87);
        total = total.wrapping_mul(31).wrapping_add(88);
        total = total.wrapping_mul(31).wrapping_add(89);
        total = total.wrapping_mul(31).wrapping_add(90);
        total = total.wrapping_mul(31).wrapping_add(91);
        total = total.wrapping_mul(31).wrapping_add(92);
        total = total.wrapping_mul(31).wrapping_add(93);
        total = total.wrapping_mul(31).wrapping_add(94);
        total = total.wrapping_mul(31).wrapping_add(95);
        total = total.wrapping_mul(31).wrapping_add(96);
        total = total.wrapping_mul(31).wrapping_add(97);
        Ok(Response::new(total))
    }
}

#[tokio::test]
async fn linted_code_works() -> Result<(), Status> {
    let _telemetry = Telemetry::start();
    let chat = Wrapper(MyChat::default());
    let answer = chat.say(Request::new("hello".to_owned())).await?;
    assert_eq!(answer.into_inner(), "HELLO (0)");
    let lines = chat.0.listen(Request::new(0)).await?.into_inner();
    let lines: Vec<_> = lines.map(|line| line.expect("a line")).collect().await;
    assert_eq!(lines, ["hello"]);

    let stub = Wrapper(Stub).say(Request::new(String::new())).await;
    assert_eq!(stub.expect_err("a stub").message(), "say");

    let greeter = MyGreeter { greeting: "Hello" };
    let hello = || Request::new(HelloRequest { name: "Ada".to_owned() });
    assert_eq!(
        greeter.say_hello(hello()).await?.into_inner().message,
        "Hello, Ada20000"
    );
    assert_eq!(Instrumented.say_hello(hello()).await?.into_inner().message, "Ada");

    assert_eq!(ByHand.say_hello(hello()).await?.into_inner().message, "Ada");

    let shouted = Voice.shout(Request::new("Ada".to_owned())).await?;
    assert_eq!(shouted.into_inner(), "Ada!");

    assert_ne!(Arc::new(Long).number(Request::new(3)).await?.into_inner(), 3);
    let numbers = Arc::new(Numbers(2));
    assert_eq!(Arc::clone(&numbers).number(Request::new(3)).await?.into_inner(), 5);
    let numbers = numbers.numbers(Request::new(4)).await?.into_inner();
    assert_eq!(
        numbers
            .map(|number| number.expect("a number"))
            .collect::<Vec<_>>()
            .await,
        [2, 3]
    );
    Ok(())
}
