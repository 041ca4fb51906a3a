//! The calls that run now, as otel-setup's zPages see them.
//!
//! A span processor can read a span that has started only by copying it, which takes a third as
//! long as recording the call. So a call tells an observer itself what it has at hand.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use opentelemetry::trace::{SpanBuilder, SpanContext, SpanId, SpanKind};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};

use crate::grpc::side::Direction;
use crate::semconv;

/// An observer of all calls of this process whose span is recorded.
pub trait CallObserver: Send + Sync {
    /// Returns the observer of the calls of one method.
    fn method(&'static self, name: &str, kind: SpanKind) -> Box<dyn MethodObserver>;
}

/// An observer of the calls of one method.
pub trait MethodObserver: Send + Sync {
    /// Takes a call that starts. `None` if the observer has no room for it.
    fn start(&self, call: StartedCall) -> Option<Arc<dyn RunningCall>>;
}

/// An observed call that has not ended.
pub trait RunningCall: Debug + Send + Sync {
    /// Returns the messages that have passed.
    fn messages(&self) -> &Messages;

    /// Names the method of a call that has started without.
    fn set_method(&self, name: &'static str);

    /// Ends the call, if its span has not ended it.
    fn end(self: Arc<Self>);
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
#[derive(Clone, Debug)]
pub struct StartedCall {
    /// The name of the span: that of the method, or a part of the path if that is not known yet.
    pub name: Cow<'static, str>,
    /// The kind of the span.
    pub kind: SpanKind,
    /// The span.
    pub span_context: SpanContext,
    /// The parent span, or an invalid id.
    pub parent_span_id: SpanId,
    /// Whether the parent span belongs to another process.
    pub parent_span_is_remote: bool,
    /// The start of the span.
    pub start_time: SystemTime,
    /// The value of `server.address`.
    pub server_address: Option<StringValue>,
    /// The value of `server.port`.
    pub server_port: Option<i64>,
    /// The address of the client's socket, at a server.
    pub peer: Option<SocketAddr>,
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

/// `server.address` and `server.port`.
pub(crate) type Server = (Option<StringValue>, Option<i64>);

/// Lets the observer's processor [meet](meets) the next span, and returns the server's address in
/// its attributes.
pub(crate) fn expect(span: &SpanBuilder) -> Server {
    START.with(|start| start.set(Start::Expected));
    let (mut address, mut port) = (None, None);
    for attribute in span.attributes.iter().flatten() {
        match (attribute.key.as_str(), &attribute.value) {
            (semconv::SERVER_ADDRESS, Value::String(text)) => address = Some(text.clone()),
            (semconv::SERVER_PORT, Value::I64(number)) => port = Some(*number),
            _ => {}
        }
    }
    (address, port)
}

/// Returns the id of the span that the observer's processor has met since it was expected.
#[inline]
pub(crate) fn take_met() -> Option<SpanId> {
    match START.with(|start| start.replace(Start::None)) {
        Start::Met(id) => Some(id),
        Start::None | Start::Expected => None,
    }
}

impl StartedCall {
    /// Returns the attributes that the call's span got from the request, without captured headers.
    #[must_use]
    pub fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC)];
        // Only names of methods live as long as the process.
        if let Cow::Borrowed(method) = self.name {
            attributes.push(KeyValue::new(semconv::RPC_METHOD, method));
        }
        let address = self.server_address.clone();
        attributes.extend(address.map(|address| KeyValue::new(semconv::SERVER_ADDRESS, Value::String(address))));
        attributes.extend(self.server_port.map(|port| KeyValue::new(semconv::SERVER_PORT, port)));
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
