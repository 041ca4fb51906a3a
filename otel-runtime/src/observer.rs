//! The calls that run now, as otel-setup's zPages see them.
//!
//! A span processor can read a span that has started only by copying it, which takes a third as
//! long as recording the call. So a call tells an observer itself what it has at hand. Its end is
//! that of its span, which the observer's span processor gets anyway.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};

use crate::grpc::side::Direction;
use crate::semconv;

/// An observer of all calls of this process whose span is recorded.
pub trait CallObserver: Send + Sync {
    /// Returns the observer of the calls of one method.
    fn method(&'static self, name: &'static str, kind: SpanKind) -> Box<dyn MethodObserver>;

    /// Takes a call that starts without a known method. Its span is named after its path.
    fn start(&self, name: &str, kind: SpanKind, call: StartedCall<'_>);

    /// Names the method of a running call that has started without.
    fn set_method(&self, span: SpanId, name: &'static str);

    /// Takes back a running call whose span will not end.
    fn discard(&self, span: SpanId);
}

/// An observer of the calls of one method.
pub trait MethodObserver: Send + Sync {
    /// Takes a call that starts.
    fn start(&self, call: StartedCall<'_>);
}

/// The number of messages that a call has received and sent so far.
#[derive(Debug)]
pub struct Messages {
    received: AtomicU64,
    sent: AtomicU64,
}

/// The number of messages that nobody counts.
const UNCOUNTED: u64 = u64::MAX;

/// A call at its start.
#[derive(Debug)]
pub struct StartedCall<'a> {
    /// The span.
    pub span_context: &'a SpanContext,
    /// The parent span. Invalid if there is none.
    pub parent: &'a SpanContext,
    /// The start of the span.
    pub start_time: SystemTime,
    /// The ends of the call, and its messages, to be taken.
    pub details: &'a mut CallDetails,
}

/// The ends of a call, and its messages.
#[derive(Clone, Debug, Default)]
pub struct CallDetails {
    /// The values of `server.address` and `server.port`.
    pub server: ServerAddress,
    /// The address of the client's socket, at a server.
    pub peer: Option<SocketAddr>,
    /// The messages that have passed. `None` if nobody counts them.
    pub messages: Option<Arc<Messages>>,
}

/// The values of `server.address` and `server.port`.
#[derive(Clone, Debug, Default)]
pub struct ServerAddress {
    /// The value of `server.address`.
    pub address: Option<StringValue>,
    /// The value of `server.port`.
    pub port: Option<i64>,
}

static OBSERVER: OnceLock<&'static dyn CallObserver> = OnceLock::new();

/// The start of an observed call's span on this thread.
#[derive(Clone, Copy)]
enum Start {
    None,
    /// The span is about to start.
    Expected,
    /// The observer's span processor has met the span with this id.
    Met(SpanId),
}

thread_local! {
    static START: Cell<Start> = const { Cell::new(Start::None) };
}

/// Sets the observer, once. A span processor of it has to [meet](meets) each span.
pub fn set(observer: &'static dyn CallObserver) {
    // Telemetry is set up once.
    let _ = OBSERVER.set(observer);
}

/// Tells whether a span that starts belongs to a call that the observer learns of, and that the
/// observer's processor has met it.
///
/// Spans of other tracer providers are not observed: their end would not be seen.
#[inline]
#[must_use]
pub fn meets(span: &SpanContext) -> bool {
    START.with(|start| {
        let is_expected = matches!(start.get(), Start::Expected);
        if is_expected {
            start.set(Start::Met(span.span_id()));
        }
        is_expected
    })
}

/// Returns the scope of the spans of calls.
#[must_use]
pub fn scope() -> InstrumentationScope {
    semconv::scope()
}

#[inline]
pub(crate) fn get() -> Option<&'static dyn CallObserver> {
    OBSERVER.get().copied()
}

/// Lets the observer's processor [meet](meets) the next span.
#[inline]
pub(crate) fn expect() {
    START.with(|start| start.set(Start::Expected));
}

/// Tells whether the observer's processor has met this span since one was expected.
#[inline]
pub(crate) fn has_met(span: SpanId) -> bool {
    START.with(|start| matches!(start.get(), Start::Met(met) if met == span))
}

/// Ends what [`expect`] has begun: a span that is not sampled is not met.
#[inline]
pub(crate) fn expect_nothing() {
    START.with(|start| start.set(Start::None));
}

impl ServerAddress {
    /// Reads the address from its attributes: `server.address`, and behind it `server.port`.
    ///
    /// The types tell them apart, which takes a third as long as by their names.
    #[inline]
    pub(crate) fn from_attributes(attributes: &[KeyValue]) -> Self {
        let port = |attribute: Option<&KeyValue>| match attribute?.value {
            Value::I64(port) => Some(port),
            _ => None,
        };
        match attributes.first().map(|attribute| &attribute.value) {
            Some(Value::String(address)) => ServerAddress {
                address: Some(address.clone()),
                port: port(attributes.get(1)),
            },
            _ => ServerAddress {
                address: None,
                port: port(attributes.first()),
            },
        }
    }
}

impl CallDetails {
    /// Returns the attributes that the call's span got from the request, without captured headers.
    /// `method` is the name of the method, if that is known.
    // Inlined, so that only a program with an observer compiles it.
    #[inline]
    #[must_use]
    pub fn attributes(&self, method: Option<&'static str>) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC)];
        attributes.extend(method.map(|method| KeyValue::new(semconv::RPC_METHOD, method)));
        let ServerAddress { address, port } = self.server.clone();
        attributes.extend(address.map(|address| KeyValue::new(semconv::SERVER_ADDRESS, Value::String(address))));
        attributes.extend(port.map(|port| KeyValue::new(semconv::SERVER_PORT, port)));
        if let Some(peer) = self.peer {
            let address = peer.ip().to_canonical().to_string();
            attributes.push(KeyValue::new(semconv::NETWORK_PEER_ADDRESS, address));
            attributes.push(KeyValue::new(semconv::NETWORK_PEER_PORT, i64::from(peer.port())));
        }
        attributes
    }
}

impl Default for Messages {
    #[inline]
    fn default() -> Self {
        Messages {
            received: AtomicU64::new(UNCOUNTED),
            sent: AtomicU64::new(UNCOUNTED),
        }
    }
}

impl Messages {
    /// Returns the number of messages that the call has received, if they are counted.
    #[must_use]
    pub fn received(&self) -> Option<u64> {
        Some(self.received.load(Ordering::Relaxed)).filter(|count| *count != UNCOUNTED)
    }

    /// Returns the number of messages that the call has sent, if they are counted.
    #[must_use]
    pub fn sent(&self) -> Option<u64> {
        Some(self.sent.load(Ordering::Relaxed)).filter(|count| *count != UNCOUNTED)
    }

    /// Counts nothing any more, for another call.
    pub(crate) fn reset(&mut self) {
        *self = Messages::default();
    }

    fn counter(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::Received => &self.received,
            Direction::Sent => &self.sent,
        }
    }

    /// Starts to count the messages of one direction.
    pub(crate) fn count(&self, direction: Direction) {
        self.counter(direction).store(0, Ordering::Relaxed);
    }

    /// Stops counting the messages of one direction, because they pass unseen.
    #[cold]
    pub(crate) fn uncount(&self, direction: Direction) {
        self.counter(direction).store(UNCOUNTED, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add(&self, direction: Direction, messages: u64) {
        self.counter(direction).fetch_add(messages, Ordering::Relaxed);
    }
}
