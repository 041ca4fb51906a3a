//! Fault injection: everything that can go wrong with RPCs, at once, reproducible by a seed.
//!
//! A [round](Round) makes the same RPCs twice: to an uninstrumented service, and to an instrumented
//! one with panicking user functions, propagator and span processor. The instrumentation is either
//! the layers and the attribute, or only the attribute. Both must give the same replies. Afterwards
//! telemetry must have each RPC once, with the outcome that its caller observed.

mod between;
mod caller;
mod exchange;
mod export;
mod faulty;
mod outcomes;
mod script;
mod service;
mod telemetry;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use otel_runtime::{ClientLayer, Filter, Instrumentation, ServerLayer};
use tonic::service::InterceptorLayer;
use tonic::transport::Server;
use tonic::{Request, Status};

pub use exchange::Reply;
pub use export::Export;
pub use telemetry::{Measured, RoundTelemetry, Traced};

use crate::background::runtime;
use crate::server::{RunningServer, TIMEOUT, serve_with};
use between::BetweenLayer;
use caller::{Caller, CompletedCall};
use outcomes::ExpectedOutcomes;
use script::CallerAction;

/// The RPCs of one seed.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The seed of all random choices.
    pub seed: u64,
    /// The number of concurrent callers.
    pub callers: u64,
    /// The number of RPCs of each caller.
    pub rpcs: u64,
}

/// The results of a round with an instrumented service.
#[derive(Debug)]
pub struct Recorded {
    /// The replies by caller.
    pub replies: Vec<Vec<Reply>>,
    round: Round,
    /// The number of RPCs that the callers sent.
    called: u64,
    /// The number of RPCs that the server received.
    served: u64,
    clients: ExpectedOutcomes,
    servers: ExpectedOutcomes,
    /// The number of RPCs that a proxy answered with a page.
    pages: u64,
    has_layer: bool,
    /// Whether the outer of two layers meets the inner one for the first time.
    is_first_nested: bool,
}

impl Round {
    /// Makes the RPCs to an uninstrumented service.
    #[must_use]
    pub fn unrecorded(self) -> Vec<Vec<Reply>> {
        let server = Server::builder().layer(BetweenLayer);
        let server = async { serve_with(server, service::Plain.routes()).await };
        let made = self.make(server, &Caller::unrecorded());
        replies(made)
    }

    /// Makes the RPCs to an instrumented service.
    #[must_use]
    pub fn recorded(self, telemetry: &RoundTelemetry) -> Recorded {
        let instrumentation = &telemetry.instrumentation;
        let [gone, arrived, reached] = [(); 3].map(|()| Arc::default());
        let client = ClientLayer::new("here")
            .filter(Filter::new(|request| faulty::panic_if_requested(request, "filter")))
            .span_attributes(|request| {
                faulty::panic_if_requested(request, "span_attributes");
                []
            })
            .instrumentation(instrumentation.clone());
        let caller = Caller::recorded(client, counting(&gone));
        let routes = service::Annotated::new(instrumentation, &reached).routes();
        let has_layer = self.has_layer();
        let builder = Server::builder();
        let made = if self.is_nested() {
            // The outer one trusts callers that the inner one distrusts.
            let (outer, inner) = (telemetry.outer.clone(), public(ServerLayer::new()));
            let builder = builder.layer(InterceptorLayer::new(counting(&arrived)));
            let builder = builder.layer(outer).layer(inner).layer(BetweenLayer);
            self.make(async { serve_with(builder, routes).await }, &caller)
        } else if has_layer {
            let layer = public(server_layer(instrumentation));
            let builder = builder.layer(InterceptorLayer::new(counting(&arrived)));
            let builder = builder.layer(layer).layer(BetweenLayer);
            self.make(async { serve_with(builder, routes).await }, &caller)
        } else {
            let builder = builder.layer(BetweenLayer);
            self.make(async { serve_with(builder, routes).await }, &caller)
        };
        let is_page = |made: &&CompletedCall| made.script.way == CallerAction::ReadPage;
        let served = if has_layer { arrived } else { reached };
        Recorded {
            round: self,
            called: gone.load(Ordering::Relaxed),
            served: served.load(Ordering::Relaxed),
            clients: ExpectedOutcomes::of_clients(made.iter().flatten()),
            servers: ExpectedOutcomes::of_servers(made.iter().flatten(), has_layer),
            pages: made.iter().flatten().filter(is_page).count() as u64,
            has_layer,
            is_first_nested: self.is_nested() && telemetry.is_first_nested(),
            replies: replies(made),
        }
    }

    /// Makes the RPCs to an instrumented service, and asserts that telemetry has each of them.
    #[must_use]
    pub fn run_checked(self, telemetry: &RoundTelemetry) -> Vec<Vec<Reply>> {
        let (traced, measured) = (telemetry.traced(), telemetry.measured());
        let recorded = self.recorded(telemetry);
        telemetry.traced().assert_balance(&recorded, &traced);
        telemetry.measured().assert_balance(&recorded, &measured);
        // The other RPCs were cancelled before they arrived.
        let Recorded { called, served, .. } = recorded;
        assert!(
            served <= called && served > called / 2,
            "{self:?}: {served} of {called} arrived"
        );
        recorded.replies
    }

    /// Returns whether the service has the layer, or only the attribute.
    fn has_layer(self) -> bool {
        self.is_nested() || Rng::with_seed(self.seed).bool()
    }

    /// Returns whether the service has a layer inside another one.
    fn is_nested(self) -> bool {
        self.seed % 7 == 3
    }

    /// Runs a server and its callers on separate runtimes.
    ///
    /// At the end, the server's runtime is shut down with RPCs in progress.
    fn make(self, server: impl Future<Output = RunningServer>, caller: &Caller) -> Vec<Vec<CompletedCall>> {
        let (serving, calling) = (runtime(), runtime());
        let server = serving.block_on(server);
        let (made, endless) = calling.block_on(caller.make(self, server));
        serving.shutdown_timeout(TIMEOUT);
        drop(endless);
        calling.shutdown_timeout(TIMEOUT);
        made
    }
}

fn replies(made: Vec<Vec<CompletedCall>>) -> Vec<Vec<Reply>> {
    let of_one = |made: Vec<CompletedCall>| made.into_iter().map(|made| made.reply).collect();
    made.into_iter().map(of_one).collect()
}

fn server_layer(instrumentation: &Instrumentation) -> ServerLayer {
    ServerLayer::new()
        .known_methods(["kinds.Unary/Call"])
        .filter(Filter::new(|request| faulty::panic_if_requested(request, "filter")))
        .span_attributes(|request| {
            faulty::panic_if_requested(request, "span_attributes");
            []
        })
        .message_sizes()
        .instrumentation(instrumentation.clone())
}

fn public(layer: ServerLayer) -> ServerLayer {
    layer.public_endpoint_if(|request| faulty::panic_if_requested(request, "public_endpoint_if"))
}

/// Returns an interceptor that counts requests, and checks that no RPC's context is current.
fn counting(count: &Arc<AtomicU64>) -> impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone + use<> {
    let count = Arc::clone(count);
    move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        if Context::map_current(TraceContextExt::has_active_span) {
            return Err(Status::internal("the context of another RPC is current"));
        }
        Ok(request)
    }
}
