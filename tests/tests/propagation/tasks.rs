//! `otel_runtime::task` propagates the current OpenTelemetry context and `tracing` span.
//!
//! Both are current in tasks and threads while these run, and only then.

use std::pin::pin;
use std::task::{Context as TaskContext, Waker};

use integration_tests::telemetry::{Shared, Telemetry};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{Span, SpanId, TraceContextExt, Tracer};
use opentelemetry::{Context, ContextGuard, KeyValue, global};
use otel_runtime::task;

/// Attaches a context with a span and baggage to this thread.
fn enter() -> (SpanId, ContextGuard) {
    let span = global::tracer("app").start("rpc");
    let id = span.span_context().span_id();
    let context = Context::current_with_span(span).with_baggage([KeyValue::new("user", "ada")]);
    (id, context.attach())
}

/// The current span, the baggage entry `user`, and the name of the current `tracing` span.
type Current = (SpanId, Option<String>, Option<&'static str>);

fn current() -> Current {
    let (span, user) = Context::map_current(|context| {
        let user = context.baggage().get("user").map(ToString::to_string);
        (context.span().span_context().span_id(), user)
    });
    (
        span,
        user,
        tracing::Span::current().metadata().map(tracing::Metadata::name),
    )
}

fn nothing() -> Current {
    (SpanId::INVALID, None, None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn context_is_current_in_tasks_and_threads() {
    let _telemetry = Telemetry::start();
    let (expected, tasks, thread) = {
        let (id, _guard) = enter();
        let tasks = [
            task::spawn(async {
                tokio::task::yield_now().await;
                current()
            }),
            task::spawn_blocking(current),
            tokio::spawn(task::in_current_context(async { current() })),
        ];
        let thread = std::thread::spawn(task::in_current_context_fn(current));
        ((id, Some("ada".to_owned()), None), tasks, thread)
    };
    for task in tasks {
        assert_eq!(task.await.unwrap(), expected);
    }
    assert_eq!(thread.join().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tracing_span_is_current_in_tasks() {
    let telemetry = Telemetry::start();
    let (rpc, task) = {
        let (rpc, _guard) = enter();
        let _span = tracing::info_span!("outer").entered();
        // This baggage is newer than the context of the `tracing` span.
        let _guard = Context::current_with_baggage([KeyValue::new("user", "grace")]).attach();
        let task = task::spawn(async {
            tracing::info_span!("inner").in_scope(|| {});
            current()
        });
        (rpc, task)
    };
    let (span, user, name) = task.await.unwrap();
    let spans = telemetry.spans(3).await;
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let outer = named("outer");
    assert_eq!(outer.parent_span_id, rpc);
    assert_eq!((span, name), (outer.span_context.span_id(), Some("outer")));
    assert_eq!(user.as_deref(), Some("grace"));
    assert_eq!(named("inner").parent_span_id, outer.span_context.span_id());
}

/// A value that records the current context when it is dropped.
struct Dropped(Shared<Option<Current>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = Some(current());
    }
}

#[test]
fn context_is_not_current_between_polls() {
    let _telemetry = Telemetry::start();
    let seen = Shared::default();
    let mut carried = {
        let (_, _guard) = enter();
        let held = Dropped(seen.clone());
        Box::pin(task::in_current_context(async move {
            let _held = held;
            std::future::pending::<()>().await;
        }))
    };
    assert_eq!(current(), nothing());
    let mut cx = TaskContext::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(pin!(&mut carried).poll(&mut cx).is_pending());
        assert_eq!(current(), nothing());
    }
    drop(carried);
    assert_eq!(current(), nothing());
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen.1.as_deref(), Some("ada"), "it is there when it is dropped");
}

#[test]
fn context_is_detached_after_a_panic() {
    let _telemetry = Telemetry::start();
    let panics = {
        let (_, _guard) = enter();
        task::in_current_context_fn(|| panic!("on purpose"))
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
    outcome.unwrap_err();
    assert_eq!(current(), nothing());
}

#[tokio::test]
async fn without_a_current_context_nothing_is_propagated() {
    let _telemetry = Telemetry::start();
    let carried = task::in_current_context(async { current() });
    let (rpc, _guard) = enter();
    assert_ne!(rpc, SpanId::INVALID);
    assert_eq!(carried.await, nothing());
}
