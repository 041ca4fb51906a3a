//! One RPC, from its start to whichever of its ends comes. Neither side's alone.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::global::BoxedSpan;
use opentelemetry::trace::{Link, SpanBuilder, SpanKind, SpanRef, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use tonic::Code;

use crate::capture::Captured;
use crate::instrumentation::{Chosen, Started};
use crate::method::Method;
use crate::methods::{Methods, name_in};
use crate::panic;
use crate::sizes::Sizes;
use crate::status::{Outcome, Side};
use crate::{deadline, legacy, limits, semconv};

/// A path that may be a method's, and the methods that it belongs to if it is.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) path: Box<str>,
    pub(crate) methods: Arc<Methods>,
}

impl Unknown {
    /// The name in its path, as far as it is recorded.
    fn name(&self) -> &str {
        limits::cut(name_in(&self.path), limits::NAME)
    }
}

/// An RPC that is about to start.
pub(crate) struct Beginning {
    pub(crate) method: &'static Method,
    /// Where `method` stands for all that nobody knows.
    pub(crate) unknown: Option<Unknown>,
    pub(crate) instrumentation: Chosen,
    pub(crate) timeout: Option<Duration>,
    /// What the layer takes up that begins it, where one does.
    pub(crate) layer: Option<&'static Captured>,
    /// What the handler takes up that begins it, where one does.
    pub(crate) handler: Option<&'static Captured>,
    /// Where somebody asks for the sizes of its messages.
    pub(crate) sizes: Option<Arc<Sizes>>,
}

/// What a span belongs to.
pub(crate) struct Family {
    /// What it is put into, where that is not the current context.
    pub(crate) context: Option<Context>,
    /// Its parent, where that is not in `context`.
    pub(crate) parent: Option<Context>,
    pub(crate) link: Option<Link>,
}

/// The attributes that a span starts with.
pub(crate) trait Attributes {
    /// Those that a sampler sees, beside `rpc.system.name` and `rpc.method`.
    fn sampled_by(&self, attributes: &mut Vec<KeyValue>);

    /// Those of a span that records.
    fn recorded(&self, span: &mut BoxedSpan);
}

/// The span, the clock and the place in active requests of one RPC.
///
/// It is a drop guard: it goes from the future of the response into its body or stream, and wherever it is dropped without having been told how the RPC ended,
/// the caller went away.
#[derive(Debug)]
pub(crate) struct Call {
    method: &'static Method,
    unknown: Option<Unknown>,
    instrumentation: Chosen,
    /// Current while the RPC runs. `None` where it has nothing that the current one has not: neither a span of ours nor a caller's.
    context: Option<Context>,
    /// Whether `context` has a span of ours that records.
    records: bool,
    start: Instant,
    /// The same moment by the clock that tells the time, of a span that records.
    time: SystemTime,
    timeout: Option<Duration>,
    /// What the layer takes up that began it, where one did.
    layer: Option<&'static Captured>,
    sizes: Option<Arc<Sizes>>,
    /// What the handler takes up that has it: whose own it is, or which has joined the layer's.
    handler: Option<&'static Captured>,
    /// How it ends if nobody says more: the handler has said so, and what it said is on its way.
    foreseen: Option<(Code, String)>,
    ended: bool,
}

impl Call {
    /// Starts its span, if somebody wants spans.
    #[inline]
    pub(crate) fn start(&mut self, family: Family, attributes: &dyn Attributes) {
        if self.instrumentation.makes_spans() {
            self.start_span(family, attributes);
        } else {
            self.context = family.context;
        }
    }

    fn start_span(&mut self, family: Family, attributes: &dyn Attributes) {
        self.time = SystemTime::now();
        let around = family.context.unwrap_or_else(Context::current);
        // There is room for what the end adds.
        let mut all = Vec::with_capacity(8);
        all.push(KeyValue::new(semconv::RPC_SYSTEM_NAME, semconv::GRPC));
        // What is not known yet is told when it is.
        let mut builder = match &self.unknown {
            None => {
                all.push(self.method.attribute());
                if self.instrumentation.legacy().is_some() {
                    all.extend(legacy::span_attributes(self.method));
                }
                SpanBuilder::from_name(self.method.span_name())
            }
            Some(unknown) => SpanBuilder::from_name(unknown.name().to_owned()),
        };
        attributes.sampled_by(&mut all);
        builder.span_kind = Some(match self.method.side() {
            Side::Server => SpanKind::Server,
            Side::Client => SpanKind::Client,
        });
        builder.start_time = Some(self.time);
        builder.attributes = Some(all);
        builder.links = family.link.map(|link| vec![link]);
        let parent = family.parent.as_ref().unwrap_or(&around);
        self.context = Some(match self.instrumentation.start_span(parent, builder, attributes) {
            Some(Started::Recording(span)) => {
                self.records = true;
                around.with_span(span)
            }
            Some(Started::Id(id)) => around.with_remote_span_context(id),
            None => around,
        });
    }

    #[inline]
    pub(crate) fn side(&self) -> Side {
        self.method.side()
    }

    /// What is to be current while it runs, if that is not so anyway.
    #[inline]
    pub(crate) fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// The context of its span, if that records.
    #[inline]
    pub(crate) fn recording(&self) -> Option<&Context> {
        self.context.as_ref().filter(|_| self.records)
    }

    #[inline]
    pub(crate) fn instrumentation(&self) -> &Chosen {
        &self.instrumentation
    }

    /// The path of its request, as far as it is known.
    pub(crate) fn path(&self) -> Option<&str> {
        match &self.unknown {
            Some(unknown) => Some(&unknown.path),
            None => self.method.path(),
        }
    }

    /// What the layer takes up that began it, where one did.
    #[inline]
    pub(crate) fn layer(&self) -> Option<&'static Captured> {
        self.layer
    }

    #[inline]
    pub(crate) fn sizes(&self) -> Option<&Arc<Sizes>> {
        self.sizes.as_ref()
    }

    /// What the handler takes up that has it.
    #[inline]
    pub(crate) fn handler(&self) -> Option<&'static Captured> {
        self.handler
    }

    /// Makes a handler, which takes this up, part of the layer's RPC. `false` where no layer began it, or another handler is part of it already.
    pub(crate) fn join(&mut self, handler: &'static Captured) -> bool {
        let is_free = self.layer.is_some() && self.handler.is_none();
        if is_free {
            self.handler = Some(handler);
        }
        is_free
    }

    /// Whether its method is not known to be one yet.
    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// Its path is that of `method`, as it turns out.
    pub(crate) fn is_of(&mut self, method: &'static Method) {
        if let Some(unknown) = self.unknown.take() {
            unknown.methods.insert(&unknown.path, method);
            self.become_method(method, unknown.name());
        }
    }

    /// Its path is that of a method, as it turns out.
    pub(crate) fn is_of_a_method(&mut self) {
        if let Some(unknown) = &self.unknown
            && let Some(method) = unknown.methods.learn(&unknown.path)
        {
            self.is_of(method);
        }
    }

    fn become_method(&mut self, method: &'static Method, name_so_far: &str) {
        self.method
            .with_points(&self.instrumentation, |points| points.count_active(-1));
        method.with_points(&self.instrumentation, |points| points.count_active(1));
        if let Some(sizes) = &self.sizes {
            sizes.are_of(method);
        }
        self.method = method;
        let name = self.method.name();
        self.set_attributes(|| [self.method.attribute()]);
        if self.instrumentation.legacy().is_some() {
            self.set_attributes(|| legacy::span_attributes(self.method));
        }
        if let Some(context) = self.recording()
            && name != name_so_far
        {
            panic::TRACER.answer(|| context.span().update_name(name));
        }
    }

    /// Adds attributes to the span, if it records.
    pub(crate) fn set_attributes<I>(&self, make: impl FnOnce() -> I)
    where
        I: IntoIterator<Item = KeyValue>,
    {
        if let Some(context) = self.recording() {
            set_attributes(context, make);
        }
    }

    /// How it ends if it is dropped now. The first word counts.
    pub(crate) fn foresee(&mut self, code: Code, message: &str) {
        self.foreseen.get_or_insert_with(|| (code, message.to_owned()));
    }

    pub(crate) fn is_foreseen(&self) -> bool {
        self.foreseen.is_some()
    }

    /// What has been foreseen.
    pub(crate) fn foreseen(&mut self) -> Option<(Code, String)> {
        self.foreseen.take()
    }

    /// Closes the RPC's books. The first end counts; an RPC that has ended stays as it is.
    pub(crate) fn end(&mut self, outcome: Outcome<'_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let elapsed = self.start.elapsed();
        let seconds = elapsed.as_secs_f64();
        panic::METER.answer(|| {
            self.method.with_points(&self.instrumentation, |points| {
                points.count_active(-1);
                points.record_duration(seconds, outcome);
            });
            if let Some(legacy) = self.instrumentation.legacy() {
                legacy.record_duration(self.method, seconds, outcome);
            }
            if let Some(sizes) = &self.sizes {
                sizes.end(self.method, outcome);
            }
        });
        if let Some(context) = self.recording() {
            panic::TRACER.answer(|| self.end_span(&context.span(), elapsed, outcome));
        }
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the caller's deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.timeout
            .is_some_and(|timeout| deadline::has_passed(self.side(), timeout, self.start.elapsed()))
    }

    #[inline]
    fn end_span(&self, span: &SpanRef<'_>, elapsed: Duration, outcome: Outcome<'_>) {
        if let Some(unknown) = &self.unknown {
            span.update_name(self.method.span_name());
            span.set_attribute(self.method.attribute());
            let original = unknown.name().to_owned();
            span.set_attribute(KeyValue::new(semconv::RPC_METHOD_ORIGINAL, original));
            if self.instrumentation.legacy().is_some() {
                span.set_attributes(legacy::span_attributes(self.method));
            }
        }
        if self.instrumentation.legacy().is_some() {
            span.set_attribute(legacy::status_code(outcome));
        }
        span.set_attribute(KeyValue::new(semconv::RPC_STATUS_CODE, outcome.code_name()));
        if let Some(error) = outcome.error_type(self.side()) {
            span.set_attribute(KeyValue::new(semconv::ERROR_TYPE, error));
        }
        if let Some(status) = outcome.span_status(self.side()) {
            span.set_status(status);
        }
        // The clock of the duration, so that the span is exactly as long as the duration says.
        span.end_with_timestamp(self.time + elapsed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Some((code, message)) = self.foreseen.take() {
            self.end(Outcome::new(code, &message));
        } else if self.is_late() {
            self.end(Outcome::DEADLINE_EXCEEDED);
        } else {
            self.end(Outcome::CANCELLED);
        }
    }
}

/// A [`Call`] in a box. A box goes from one RPC to the next, so that none is allocated for each.
#[derive(Debug)]
pub(crate) struct Running(Option<Box<Option<Call>>>);

/// How many empty boxes a thread keeps.
const MOST_BOXES: usize = 32;

thread_local! {
    // What is kept are the boxes: nothing is in them.
    #[allow(clippy::vec_box)]
    static BOXES: RefCell<Vec<Box<Option<Call>>>> = const { RefCell::new(Vec::new()) };
}

impl Running {
    /// An RPC whose time starts now.
    #[inline]
    pub(crate) fn new(beginning: Beginning) -> Self {
        let start = Instant::now();
        let mut empty = match BOXES.try_with(|boxes| boxes.borrow_mut().pop()) {
            Ok(Some(empty)) => empty,
            _ => Box::new(None),
        };
        // Which it is. So nothing is dropped, and it is made in its place.
        if empty.is_none() {
            *empty = Some(Call {
                method: beginning.method,
                unknown: beginning.unknown,
                instrumentation: beginning.instrumentation,
                context: None,
                records: false,
                start,
                time: SystemTime::UNIX_EPOCH,
                timeout: beginning.timeout,
                layer: beginning.layer,
                handler: beginning.handler,
                sizes: beginning.sizes,
                foreseen: None,
                ended: false,
            });
        }
        let call = Running(Some(empty));
        call.method
            .with_points(&call.instrumentation, |points| points.count_active(1));
        call
    }
}

impl Deref for Running {
    type Target = Call;

    #[inline]
    fn deref(&self) -> &Call {
        self.0.as_deref().and_then(Option::as_ref).expect(IN_ITS_BOX)
    }
}

impl DerefMut for Running {
    #[inline]
    fn deref_mut(&mut self) -> &mut Call {
        self.0.as_deref_mut().and_then(Option::as_mut).expect(IN_ITS_BOX)
    }
}

const IN_ITS_BOX: &str = "a call stays in its box until that is dropped";

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut full) = self.0.take() {
            *full = None;
            let _ = BOXES.try_with(|boxes| {
                let mut boxes = boxes.borrow_mut();
                if boxes.len() < MOST_BOXES {
                    boxes.push(full);
                }
            });
        }
    }
}

/// Adds attributes to the span in `context`, if it records.
pub(crate) fn set_attributes<I>(context: &Context, make: impl FnOnce() -> I)
where
    I: IntoIterator<Item = KeyValue>,
{
    panic::TRACER.answer(|| {
        let span = context.span();
        if span.is_recording() {
            // Made first: a span is locked while it takes them.
            span.set_attributes(make().into_iter().collect::<Vec<_>>());
        }
    });
}
