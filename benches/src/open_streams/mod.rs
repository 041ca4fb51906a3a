//! The memory that tracing adds to a stream that is open, and waits for its first message.
//!
//! [`Shape::Chat`] streams in both directions: the service answers with the request's stream, which
//! never yields. The floor is a span in a context, held by whoever holds the stream.

mod service;

use std::any::Any;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::str::FromStr;
use std::task::{Context, Waker};

use bytes::Bytes;
use counting::allocations;
use http::{Request, Response};
use otel_runtime::{ClientLayer, ServerLayer};
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Layer, Service};

use self::service::{Bare, Echo, Traced};

use crate::floor::Started;
use crate::proto::Message;
use crate::proto::chats_client::ChatsClient;
use crate::proto::chats_server::ChatsServer;
use crate::request::{MakeBody, Requests, framed, open, peer, streamed, with_authority};
use crate::rpc::now;
use crate::sdk::{self, Mode};

/// The numbers of streams that are open at once.
const COUNTS: [usize; 2] = [1000, 10_000];
/// The size of a page of memory.
const PAGE: f64 = 4096.0;

/// The messages of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A single request, and a stream of responses.
    Watch,
    /// Streams in both directions.
    Chat,
}

impl Shape {
    const ALL: [Shape; 2] = [Shape::Watch, Shape::Chat];

    fn name(self) -> &'static str {
        match self {
            Shape::Watch => "watch",
            Shape::Chat => "chat",
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Shape::ALL.into_iter().find(|shape| shape.name() == name);
        found.ok_or_else(|| format!("no shape {name}"))
    }
}

/// Opens a stream, and returns what keeps it open.
type Open = Box<dyn FnMut() -> Box<dyn Any>>;

/// A way to trace a stream, or none.
struct Variant {
    name: &'static str,
    /// The variant to compare with.
    base: &'static str,
    make: fn(Mode, Shape) -> Open,
}

/// The memory of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    /// Bytes by which the resident memory has grown.
    pub(crate) resident: f64,
}

impl Memory {
    /// Returns what is added to `base`.
    fn above(self, base: Self) -> Self {
        Memory {
            allocations: self.allocations - base.allocations,
            bytes: self.bytes - base.bytes,
            resident: self.resident - base.resident,
        }
    }
}

fn variants() -> Vec<Variant> {
    let variant = |name, base, make| Variant { name, base, make };
    vec![
        variant("bare", "bare", |mode, shape| {
            to_server(Routes::new(ChatsServer::new(Bare)), mode, shape)
        }),
        variant("attribute", "bare", |mode, shape| {
            to_server(Routes::new(ChatsServer::new(Traced)), mode, shape)
        }),
        variant("attribute + ServerLayer", "bare", |mode, shape| {
            let server = ServerLayer::new().layer(Routes::new(ChatsServer::new(Traced)));
            to_server(server, mode, shape)
        }),
        variant("ServerLayer", "bare", |mode, shape| {
            let server = ServerLayer::new().layer(Routes::new(ChatsServer::new(Bare)));
            to_server(server, mode, shape)
        }),
        variant("floor", "bare", |mode, shape| {
            let mut open = to_server(Routes::new(ChatsServer::new(Bare)), mode, shape);
            Box::new(move || Box::new((open(), Started::new(mode))))
        }),
        variant("bare client", "bare client", |_, shape| of_client(Echo, shape)),
        variant("ClientLayer", "bare client", |_, shape| {
            of_client(ClientLayer::new("bench.example:50051").layer(Echo), shape)
        }),
    ]
}

/// Polls once what has to wait.
fn wait<T>(future: impl Future<Output = T>) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "a stream that has ended");
}

fn to_server<S, B>(server: S, mode: Mode, shape: Shape) -> Open
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug> + Clone + 'static,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug> + 'static,
{
    let (path, body): (_, MakeBody) = match shape {
        Shape::Watch => ("/bench.Chats/Watch", streamed),
        Shape::Chat => ("/bench.Chats/Chat", open),
    };
    let requests = Requests::new(with_authority(path), Some(peer()), body, mode);
    Box::new(move || {
        let mut server = server.clone();
        now(std::future::poll_fn(|cx| server.poll_ready(cx))).expect("ready");
        let response = now(server.call(requests.make(framed()))).expect("a response");
        let mut body = Box::pin(response.into_body());
        wait(std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)));
        Box::new(body)
    })
}

fn of_client<S, B>(channel: S, shape: Shape) -> Open
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + Send> + Send + 'static,
{
    let mut client = ChatsClient::new(channel);
    Box::new(move || {
        let response = match shape {
            Shape::Watch => now(client.watch(Message::default())),
            Shape::Chat => now(client.chat(tokio_stream::pending())),
        };
        let mut messages = response.expect("a response").into_inner();
        wait(messages.message());
        Box::new(messages)
    })
}

/// A row of the table: the memory that tracing adds to an open stream.
pub(crate) struct Row {
    variant: &'static str,
    shape: Shape,
    mode: Mode,
    count: usize,
    pub(crate) memory: Memory,
}

impl Row {
    pub(crate) fn name(&self) -> String {
        let (variant, shape) = (self.variant, self.shape.name());
        format!("{variant}, {} open, {shape}, {}", self.count, self.mode)
    }
}

/// Measures all variants but the bare ones, each in a process of its own.
pub(crate) fn table(program: &Path) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut rows = Vec::new();
    for mode in [Mode::Sampled, Mode::NoSdk] {
        for shape in Shape::ALL {
            for count in COUNTS {
                group(program, mode, shape, count, &mut rows)?;
            }
        }
    }
    Ok(rows)
}

fn group(program: &Path, mode: Mode, shape: Shape, count: usize, rows: &mut Vec<Row>) -> Result<(), Box<dyn Error>> {
    let mut bases = HashMap::new();
    for Variant { name, base, .. } in variants() {
        let memory = measure(program, name, mode, shape, count)?;
        if name == base {
            bases.insert(base, memory);
            continue;
        }
        rows.push(Row {
            variant: name,
            shape,
            mode,
            count,
            memory: memory.above(*bases.get(base).ok_or("a variant before its base")?),
        });
    }
    Ok(())
}

/// Returns what streams take that are open at once, in a process of their own.
fn measure(program: &Path, variant: &str, mode: Mode, shape: Shape, count: usize) -> Result<Memory, Box<dyn Error>> {
    let (mode, count) = (mode.to_string(), count.to_string());
    let arguments = ["open", variant, &mode, shape.name(), &count];
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let numbers: Vec<f64> = String::from_utf8(output.stdout)?
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [allocations, bytes, resident] = numbers[..] else {
        return Err("three numbers are expected".into());
    };
    Ok(Memory {
        allocations,
        bytes,
        resident,
    })
}

/// Runs the process of one measurement.
pub(crate) fn one(variant: &str, mode: Mode, shape: Shape, count: usize) -> Result<(), Box<dyn Error>> {
    let variants = variants();
    let found = variants.iter().find(|known| known.name == variant);
    let _installed = sdk::install(mode, true);
    let mut open = (found.ok_or_else(|| format!("no variant {variant}"))?.make)(mode, shape);
    // The first one initializes what is made once.
    let _first = open();
    let mut opened = Vec::with_capacity(count);
    let before = (allocations::alive(), resident_pages()?);
    opened.extend(std::iter::repeat_with(open).take(count));
    let after = (allocations::alive(), resident_pages()?);
    #[allow(clippy::cast_precision_loss)]
    let one = |before: u64, after: u64| (after - before) as f64 / count as f64;
    println!(
        "{} {} {}",
        one(before.0.0, after.0.0),
        one(before.0.1, after.0.1),
        one(before.1, after.1) * PAGE
    );
    Ok(())
}

fn resident_pages() -> Result<u64, Box<dyn Error>> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    Ok(pages.split(' ').nth(1).ok_or("no resident pages")?.parse()?)
}
