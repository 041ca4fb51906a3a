//! A layer inside another one: both meet an RPC, which has one call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::Request;
use opentelemetry::KeyValue;

use super::layer::ServerLayer;
use crate::attributes::captured_headers::CapturedHeaders;
use crate::grpc::side::Direction;
use crate::layer::request::RpcRequest;
use crate::rpc::active_call::{ActiveCall, InnerDecision, LateStart};
use crate::rpc::call::Call;
use crate::rpc::current;
use crate::rpc::request_body;

/// The layers of this program.
struct Layers {
    /// Sorted by their address.
    by_address: Vec<(usize, Weak<ServerLayer>)>,
    /// Number of layers at which those that are gone are removed.
    full_at: usize,
}

static LAYERS: Mutex<Layers> = Mutex::new(Layers {
    by_address: Vec::new(),
    full_at: 0,
});

impl Layers {
    fn insert(&mut self, layer: &Arc<ServerLayer>) {
        if self.by_address.len() >= self.full_at {
            self.by_address.retain(|(_, layer)| layer.strong_count() > 0);
            self.full_at = 2 * self.by_address.len() + 16;
        }
        let entry = (Arc::as_ptr(layer).addr(), Arc::downgrade(layer));
        match self.find(entry.0) {
            // The address of a layer that is gone.
            Ok(at) => self.by_address[at] = entry,
            Err(at) => self.by_address.insert(at, entry),
        }
    }

    /// Returns the index of a layer, or the one at which it is missing.
    fn find(&self, address: usize) -> Result<usize, usize> {
        self.by_address.binary_search_by_key(&address, |(address, _)| *address)
    }
}

impl ServerLayer {
    /// Puts the layer behind a pointer, by which layers inside it can find it.
    pub(super) fn shared(self) -> Arc<Self> {
        let layer = Arc::new(self);
        LAYERS.lock().unwrap_or_else(PoisonError::into_inner).insert(&layer);
        layer
    }

    fn at_address(address: usize) -> Option<Arc<Self>> {
        let layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
        let at = layers.find(address).ok()?;
        layers.by_address[at].1.upgrade()
    }

    /// Joins the call of an outer layer.
    ///
    /// The stricter of the two decides whether the caller is trusted, and whether the call is
    /// recorded. Attributes and request headers are added to those of the outer layer. Returns the
    /// call if it had to start anew, as this layer's own.
    #[cold]
    pub(super) fn join<B: 'static>(
        &self,
        request: &mut Request<B>,
        captured: &'static CapturedHeaders,
    ) -> Option<ActiveCall> {
        self.warn_of_ineffective_options(captured);
        let rpc_request = RpcRequest::from_http(request);
        let decision = InnerDecision {
            is_public: self.is_public(&rpc_request),
            is_filtered: !self.options.should_record(&rpc_request),
        };
        let mut restarted = None;
        if current::is_deferred() {
            current::start_deferred(LateStart {
                has_service: true,
                inner_layer: Some(decision),
            });
            let counter = current::with_recorded(|call| {
                let extras = call.extras();
                let reads = extras.reads_messages();
                reads.then(|| extras.request_counter(Direction::Received))
            });
            // The outer layer has wrapped the body to number the messages, before it was known that
            // their sizes or an observer need more of them.
            if let Some(counter @ Some(_)) = counter.flatten() {
                request_body::wrap(request.body_mut(), counter, |_| None);
            }
        } else {
            restarted = self.restart(request, decision, captured);
        }
        let add = |call: &mut Call| self.add_attributes(call, request, captured);
        if let Some(call) = &mut restarted {
            call.recorded().map(add);
            current::enter(call);
        } else {
            current::take_recorded(add);
        }
        restarted
    }

    fn warn_of_ineffective_options(&self, captured: &CapturedHeaders) {
        let options = [
            ("response_headers", !captured.response_headers.is_empty()),
            ("response_trailers", !captured.response_trailers.is_empty()),
            ("failures", self.options.has_failures()),
            ("metric_attributes", self.options.metric_attributes.is_some()),
            ("message_counts", self.options.counts_by_method()),
            ("log_calls", self.options.logs_calls()),
            ("instrumentation", self.options.instrumentation.is_some()),
            ("message_sizes", self.options.records_message_sizes()),
            ("tracing_span", self.tracing_span),
        ];
        if options.iter().any(|(_, is_set)| *is_set) {
            warn_of_outer_layer(&options);
        }
    }

    /// Starts the current call anew if this layer is stricter than the outer one.
    ///
    /// The outer layer learns from it, and waits with its later calls.
    fn restart<B>(
        &self,
        request: &mut Request<B>,
        decision: InnerDecision,
        captured: &'static CapturedHeaders,
    ) -> Option<ActiveCall> {
        let origin = current::with_recorded(|call| call.origin())?;
        let outer = ServerLayer::at_address(origin.layer);
        let outer = outer.as_deref();
        let is_stricter =
            || decision.is_public && !outer.is_some_and(|outer| outer.is_public(&RpcRequest::from_http(request)));
        if !decision.is_filtered && !is_stricter() {
            return None;
        }
        let mut discarded = current::take_restarted()?;
        let call = discarded.recorded()?;
        call.discard();
        let (arrived, outer_captured) = (call.started_at(), call.layer_headers());
        let late = LateStart {
            has_service: true,
            inner_layer: Some(decision),
        };
        Some(match (outer, outer_captured) {
            (Some(outer), Some(captured)) => {
                outer.inner_paths.add_restart();
                outer.start_arrived(request, origin, captured, Some((arrived, late)))
            }
            // The outer layer is gone, while its last calls go on.
            _ => self.start_arrived(request, origin, captured, Some((arrived, late))),
        })
    }

    /// Adds the attributes of this layer to the call of an outer one.
    fn add_attributes<B>(&self, call: &mut Call, request: &Request<B>, captured: &CapturedHeaders) {
        self.options.add_span_attributes(call, &RpcRequest::from_http(request));
        let outer = call.layer_headers().map(|captured| &captured.request_headers);
        call.set_attributes(&mut || {
            let mut attributes = captured.request_headers.attributes(request.headers());
            let is_new =
                |attribute: &KeyValue| !outer.is_some_and(|outer| outer.captures(&attribute.key, request.headers()));
            attributes.retain(is_new);
            attributes
        });
    }
}

/// Warns of the options of a layer that are set.
fn warn_of_outer_layer(options: &[(&str, bool)]) {
    static WARNED: AtomicBool = AtomicBool::new(false);

    if !WARNED.swap(true, Ordering::Relaxed) {
        let set = options.iter().filter(|(_, is_set)| *is_set);
        let names: Vec<_> = set.map(|(name, _)| format!("`{name}`")).collect();
        let (have, it) = if names.len() == 1 {
            ("has", "it")
        } else {
            ("have", "them")
        };
        tracing::warn!(
            target: "otel_runtime",
            "{} {have} no effect on a `ServerLayer` inside another one: set {it} on the outer layer (logged once)",
            names.join(", ")
        );
    }
}
