//! Everything that can go wrong with RPCs, at once: drawn from a seed, so that the same goes wrong again.
//!
//! A [round](Round) makes the same RPCs of a service twice: one that nobody records, and one with all of this crate around it and inside it, whose users, propagator and span processor
//! misbehave. The replies are the same, and afterwards the books balance.

mod caller;
mod export;
mod script;
mod service;
mod unsteady;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::global;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor};
use otel_runtime::{ClientLayer, Filter, Instrumentation, ServerLayer};
use tokio::runtime::{Builder, Runtime};
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic::{Request, Status};

pub use caller::Reply;
pub use export::Export;
pub use unsteady::quiet;

use crate::counted::Counted;
use crate::server::{PATIENCE, Running, serve, serve_with};
use caller::Caller;

/// RPCs of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// What all is drawn from.
    pub seed: u64,
    /// How many callers there are at once.
    pub callers: u64,
    /// How many RPCs each makes.
    pub rpcs: u64,
}

/// How many RPCs have gone out and come in.
#[derive(Clone, Debug, Default)]
struct Arrivals {
    called: Arc<AtomicU64>,
    served: Arc<AtomicU64>,
}

impl Round {
    /// Makes the RPCs of a service that nobody records.
    #[must_use]
    pub fn unrecorded(self) -> Vec<Vec<Reply>> {
        self.make(async { serve(service::Plain::routes()).await }, &Caller::unrecorded())
    }

    /// Makes them with everything around them.
    #[must_use]
    pub fn recorded(self, instrumentation: &Instrumentation) -> Vec<Vec<Reply>> {
        self.make_recorded(instrumentation, &Arrivals::default())
    }

    /// The same, and asserts that the books balance.
    #[must_use]
    pub fn balanced(self, books: &Books) -> Vec<Vec<Reply>> {
        let (arrivals, before) = (Arrivals::default(), Totals::of(&books.counted));
        let replies = self.make_recorded(&books.instrumentation, &arrivals);
        let after = Totals::of(&books.counted);
        let called = arrivals.called.load(Ordering::Relaxed);
        let served = arrivals.served.load(Ordering::Relaxed);
        let seed = self.seed;
        assert_eq!(
            after.started - before.started,
            called + served,
            "seed {seed}: spans started"
        );
        assert_eq!(after.ended - before.ended, called + served, "seed {seed}: spans ended");
        assert_eq!(after.calls - before.calls, called, "seed {seed}: durations of clients");
        assert_eq!(
            after.serves - before.serves,
            served,
            "seed {seed}: durations of servers"
        );
        assert_eq!(after.active, 0, "seed {seed}: active requests");
        // The rest is given up before it arrives.
        assert!(
            served <= called && served > called / 2,
            "seed {seed}: {served} of {called} arrived"
        );
        replies
    }

    fn make_recorded(self, instrumentation: &Instrumentation, arrivals: &Arrivals) -> Vec<Vec<Reply>> {
        let client = ClientLayer::new("here")
            .filter(Filter::new(|request| unsteady::panic_if_asked(request, "filter")))
            .span_attributes(|request| {
                unsteady::panic_if_asked(request, "span_attributes");
                []
            })
            .instrumentation(instrumentation.clone());
        let server = ServerLayer::new()
            .methods(["kinds.Unary/Call"])
            .filter(Filter::new(|request| unsteady::panic_if_asked(request, "filter")))
            .public_endpoint_if(|request| unsteady::panic_if_asked(request, "public_endpoint_if"))
            .span_attributes(|request| {
                unsteady::panic_if_asked(request, "span_attributes");
                []
            })
            .message_sizes()
            .instrumentation(instrumentation.clone());
        let arriving = counting(&arrivals.served);
        let server = async {
            let server = Server::builder().layer(InterceptorLayer::new(arriving)).layer(server);
            serve_with(server, service::Annotated::routes()).await
        };
        self.make(server, &Caller::recorded(client, counting(&arrivals.called)))
    }

    /// A server and its callers, on runtimes of their own: the server's is taken away in the end, with RPCs on it.
    fn make(self, server: impl Future<Output = Running>, caller: &Caller) -> Vec<Vec<Reply>> {
        let (serving, calling) = (runtime(), runtime());
        let server = serving.block_on(server);
        let (replies, endless) = calling.block_on(caller.make(self, server));
        serving.shutdown_timeout(PATIENCE);
        drop(endless);
        calling.shutdown_timeout(PATIENCE);
        replies
    }
}

/// Counts those that pass.
fn counting(count: &Arc<AtomicU64>) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone + use<> {
    let count = Arc::clone(count);
    move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        // Nobody looks at it any more: a service keeps what was global when it began.
        global::set_tracer_provider(SdkTracerProvider::default());
        Ok(request)
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// What rounds are recorded with, and counted.
#[derive(Debug)]
pub struct Books {
    counted: Counted,
    instrumentation: Instrumentation,
}

impl Books {
    /// Whose spans go to `exporter` as well, if that gets to see them: in front of it is a processor that panics now and then.
    #[must_use]
    pub fn new(exporter: impl SpanProcessor + 'static) -> Self {
        let counted = Counted::default();
        let tracers = SdkTracerProvider::builder()
            .with_span_processor(counted.spans.clone())
            .with_span_processor(unsteady::Processor::default())
            .with_span_processor(exporter)
            .build();
        let instrumentation = Instrumentation::builder()
            .tracer_provider(&tracers)
            .meter_provider(&counted.meters)
            .propagator(unsteady::Propagator::default())
            .build();
        Books {
            counted,
            instrumentation,
        }
    }

    /// How many spans have ended.
    #[must_use]
    pub fn spans(&self) -> u64 {
        self.counted.spans.ended()
    }
}

/// What stands in the books.
#[derive(Debug)]
struct Totals {
    started: u64,
    ended: u64,
    calls: u64,
    serves: u64,
    active: u64,
}

impl Totals {
    fn of(counted: &Counted) -> Self {
        let found = counted.series();
        let total = |instrument, value: fn(&i64) -> u64| -> u64 {
            let series = found.get(instrument);
            series.into_iter().flat_map(|series| series.values()).map(value).sum()
        };
        let active = |instrument| total(instrument, |active| active.unsigned_abs());
        let count = |instrument| total(instrument, |count| (*count).try_into().unwrap());
        Totals {
            started: counted.spans.started(),
            ended: counted.spans.ended(),
            calls: count("rpc.client.call.duration"),
            serves: count("rpc.server.call.duration"),
            active: active("rpc.server.active_requests") + active("rpc.client.active_requests"),
        }
    }
}
