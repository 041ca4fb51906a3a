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

use opentelemetry::trace::{SpanContext, SpanId, SpanKind};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value};

use crate::attributes::peer_address;
use crate::grpc::side::Direction;
use crate::{instrumentation, semconv};

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

    /// Ends the call, if its span has not ended it.
    fn end(&self);
}

/// The number of messages that a call has received and sent so far.
#[derive(Debug, Default)]
pub struct Messages {
    received: AtomicU64,
    sent: AtomicU64,
}

/// A call at its start.
#[derive(Debug)]
pub struct StartedCall {
    /// The name of the span.
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
pub fn meets(span: &SpanContext) -> bool {
    let is_expected = START.with(|start| {
        let is_expected = matches!(start.get(), Start::Expected);
        if is_expected {
            start.set(Start::Met(span.span_id()));
        }
        is_expected
    });
    is_expected
}

/// Returns the scope of the spans of calls.
#[must_use]
pub fn scope() -> InstrumentationScope {
    instrumentation::scope()
}

#[inline]
pub(crate) fn get() -> Option<&'static dyn CallObserver> {
    OBSERVER.get().copied()
}

/// Starts a span, and returns the id of the span that the observer's processor has met.
#[inline]
pub(crate) fn expect<T>(start_span: impl FnOnce() -> T) -> (T, Option<SpanId>) {
    START.with(|start| start.set(Start::Expected));
    let span = start_span();
    match START.with(|start| start.replace(Start::None)) {
        Start::Met(id) => (span, Some(id)),
        Start::None | Start::Expected => (span, None),
    }
}

/// Returns the address and the port in `server.address` and `server.port`.
#[inline]
pub(crate) fn server(attributes: &[KeyValue]) -> (Option<StringValue>, Option<i64>) {
    let (mut address, mut port) = (None, None);
    for attribute in attributes {
        match &attribute.value {
            Value::String(text) => address = Some(text.clone()),
            Value::I64(number) => port = Some(*number),
            _ => {}
        }
    }
    (address, port)
}

impl StartedCall {
    /// Returns the attributes that the call's span got from the request, without captured headers.
    #[must_use]
    pub fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC)];
        // The name of an unknown method is a part of the path.
        if let Cow::Borrowed(method) = self.name {
            attributes.push(KeyValue::new(semconv::RPC_METHOD, method));
        }
        let address = self.server_address.clone();
        attributes.extend(address.map(|address| KeyValue::new(semconv::SERVER_ADDRESS, Value::String(address))));
        attributes.extend(self.server_port.map(|port| KeyValue::new(semconv::SERVER_PORT, port)));
        attributes.extend(self.peer.into_iter().flat_map(peer_address::of_socket));
        attributes
    }
}

impl Messages {
    /// Returns the number of messages that the call has received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns the number of messages that the call has sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn add(&self, direction: Direction) {
        let counter = match direction {
            Direction::Received => &self.received,
            Direction::Sent => &self.sent,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
