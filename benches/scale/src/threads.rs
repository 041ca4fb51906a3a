//! Contention between threads that serve RPCs.
//!
//! A server runs on one thread and on several, without a socket or a runtime.

use std::error::Error;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Waker};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use otel_runtime::ServerLayer;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower::{Layer, Service};

use crate::load;
use crate::proto::bench_server::BenchServer;
use crate::sdk::{self, Mode};
use crate::service::{Bare, Sdk, Traced};
use crate::variants::Variant;

/// RPCs before the measurement, which initialize everything that is made once.
const WARM_UP: usize = 2000;
const LASTS: Duration = Duration::from_millis(500);
/// RPCs between two readings of the clock.
const AT_ONCE: u64 = 200;

/// Serves RPCs on so many threads, and prints the cost of one.
///
/// The numbers are nanoseconds by the clock and of the processor, waits of a thread in 1,000 RPCs,
/// and the number of RPCs with the warm-up.
pub(crate) fn one(variant: Variant, mode: Mode, count: usize) -> Result<(), Box<dyn Error>> {
    let installed = sdk::install(mode);
    let bare = || Routes::new(BenchServer::new(Bare));
    let traced = || Routes::new(BenchServer::new(Traced));
    let run = match variant {
        Variant::Bare => on_threads(&bare(), count)?,
        Variant::Sdk => on_threads(&Routes::new(BenchServer::new(Sdk)), count)?,
        Variant::Attribute => on_threads(&traced(), count)?,
        Variant::AttributeAndLayer => on_threads(&ServerLayer::new().layer(traced()), count)?,
        Variant::Competitor => on_threads(&LayerBuilder::builder().build()?.layer(bare()), count)?,
    };
    let (_, durations) = installed.recorded();
    let all = run.rpcs + (WARM_UP * count) as u64;
    let expected = if variant.is_traced() && mode != Mode::NoSdk {
        all
    } else {
        0
    };
    if durations != expected {
        return Err(format!("{variant}, {mode}: {durations} durations of {all} RPCs").into());
    }
    let rpcs = run.rpcs as f64;
    println!(
        "{} {} {} {all}",
        run.wall / rpcs,
        run.processor / rpcs,
        run.waits as f64 * 1000.0 / rpcs
    );
    Ok(())
}

/// The sums over all threads.
#[derive(Default)]
struct Run {
    rpcs: u64,
    /// Nanoseconds by the clock, of each thread.
    wall: f64,
    /// Nanoseconds of the processor.
    processor: f64,
    waits: u64,
}

fn on_threads<S, B>(server: &S, count: usize) -> Result<Run, Box<dyn Error>>
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug> + Clone + Send,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    let barrier = Barrier::new(count);
    let runs: Vec<_> = thread::scope(|scope| {
        // Each thread has a clone, as each connection of a server does.
        let threads: Vec<_> = (0..count)
            .map(|_| {
                let (server, barrier) = (server.clone(), &barrier);
                scope.spawn(move || on_this_thread(server, barrier))
            })
            .collect();
        threads.into_iter().map(ScopedJoinHandle::join).collect()
    });
    let mut sum = Run::default();
    for run in runs {
        let run = run.map_err(|_| "a thread has panicked")??;
        sum.rpcs += run.rpcs;
        sum.wall += run.wall;
        sum.processor += run.processor;
        sum.waits += run.waits;
    }
    Ok(sum)
}

fn on_this_thread<S, B>(mut server: S, barrier: &Barrier) -> Result<Run, String>
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug>,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    let headers = headers();
    for _ in 0..WARM_UP {
        rpc(&mut server, &headers);
    }
    barrier.wait();
    let (before, waits_before) = this_thread()?;
    let start = Instant::now();
    let mut rpcs = 0;
    while start.elapsed() < LASTS {
        for _ in 0..AT_ONCE {
            rpc(&mut server, &headers);
        }
        rpcs += AT_ONCE;
    }
    let wall = start.elapsed().as_nanos() as f64;
    let (after, waits) = this_thread()?;
    Ok(Run {
        rpcs,
        wall,
        processor: after - before,
        waits: waits - waits_before,
    })
}

/// Returns the processor time of this thread in nanoseconds, and the number of its waits.
fn this_thread() -> Result<(f64, u64), String> {
    let read = |file: &str| fs::read_to_string(format!("/proc/thread-self/{file}")).map_err(|error| error.to_string());
    let (scheduled, status) = (read("schedstat")?, read("status")?);
    let nanoseconds = scheduled.split(' ').next().and_then(|number| number.parse().ok());
    let waits = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    let waits = waits.and_then(|number| number.trim().parse().ok());
    nanoseconds
        .zip(waits)
        .ok_or_else(|| "no such numbers in /proc".to_owned())
}

fn headers() -> HeaderMap {
    let all = load::HEADERS.map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value)));
    HeaderMap::from_iter(all)
}

/// Makes an RPC, with the authority and the client's address, to the trailers of its response.
///
/// callgrind finds the function by its name.
#[inline(never)]
fn rpc<S, B>(server: &mut S, headers: &HeaderMap)
where
    S: Service<Request<Body>, Response = Response<B>, Error: fmt::Debug>,
    B: http_body::Body<Data = Bytes, Error: fmt::Debug>,
{
    let mut request = Request::post("http://bench.example:50051/bench.Bench/Unary")
        .version(Version::HTTP_2)
        .extension(TcpConnectInfo {
            local_addr: Some(SocketAddr::from(([10, 0, 0, 1], 50051))),
            remote_addr: Some(SocketAddr::from(([192, 0, 2, 7], 41952))),
        })
        .body(Body::new(Full::new(Bytes::from_static(load::MESSAGE))))
        .expect("a request");
    *request.headers_mut() = headers.clone();
    now(std::future::poll_fn(|cx| server.poll_ready(cx))).expect("ready");
    let response = now(server.call(request)).expect("a response");
    let body = now(response.into_body().collect()).expect("a body");
    let trailers = body.trailers().expect("trailers");
    assert!(trailers["grpc-status"] == "0" && body.to_bytes() == load::MESSAGE);
}

/// Returns the output of a future that is never pending for long: tonic yields now and then.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("nothing here has to wait")
}
