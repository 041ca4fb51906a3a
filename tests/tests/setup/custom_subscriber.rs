//! The layers of `Telemetry` in the program's own subscriber, next to other layers.
//!
//! Their filters do not affect the other layers.

use std::sync::{Arc, Mutex};

use integration_tests::collector::{Behaviour, Collector};
use integration_tests::logging_service::run_logging_service;
use integration_tests::own_process::{block_on, in_own_process, in_own_process_with};
use integration_tests::panics::panics;
use integration_tests::server::TIMEOUT;
use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLogRecord};
use opentelemetry_sdk::trace::InMemorySpanExporter;
use otel_setup::Telemetry;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

/// A layer that counts events.
#[derive(Clone, Default)]
struct Count(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if event.metadata().target() == "own" {
            self.0.lock().unwrap().push(event.metadata().level().as_str());
        }
    }
}

/// Sets up spans and logs, without a subscriber, and returns what gets them.
fn set_up() -> (Telemetry, InMemorySpanExporter, InMemoryLogExporter) {
    let spans = InMemorySpanExporter::default();
    let logs = InMemoryLogExporter::default();
    let (to_spans, to_logs) = (spans.clone(), logs.clone());
    let telemetry = otel_setup::builder()
        .trace_exporters([])
        .metric_exporters([])
        .log_exporters([])
        .configure_tracer_provider(|provider| provider.with_simple_exporter(to_spans))
        .configure_logger_provider(|provider| provider.with_simple_exporter(to_logs))
        .without_subscriber()
        .init()
        .unwrap();
    (telemetry, spans, logs)
}

#[test]
fn layers_filter_independently() {
    in_own_process(|| {
        let (telemetry, spans, logs) = set_up();
        assert!(!tracing::dispatcher::has_been_set());

        let all = Count::default();
        let errors = Count::default();
        tracing_subscriber::registry()
            .with(all.clone())
            .with(telemetry.logs_layer())
            .with(errors.clone().with_filter(LevelFilter::ERROR))
            .with(telemetry.spans_layer())
            .with(telemetry.stdout_layer())
            .init();

        let outer = global::tracer("app").start("outer");
        let outer_id = outer.span_context().span_id();
        let outer = Context::current_with_span(outer).attach();
        let span = tracing::info_span!(target: "own", "span").entered();
        let span_id = Context::map_current(|context| context.span().span_context().span_id());
        tracing::trace!(target: "own", "trace");
        tracing::info!(target: "own", "info");
        tracing::error!(target: "own", "error");
        drop(span);
        drop(outer);

        assert_eq!(*all.0.lock().unwrap(), ["TRACE", "INFO", "ERROR"]);
        assert_eq!(*errors.0.lock().unwrap(), ["ERROR"]);
        let logs: Vec<SdkLogRecord> = logs
            .get_emitted_logs()
            .unwrap()
            .into_iter()
            .map(|log| log.record)
            .collect();
        let ours = logs
            .iter()
            .filter(|log| log.target().is_some_and(|target| target == "own"));
        let ours: Vec<_> = ours
            .map(|log| (log.severity_text(), log.trace_context().map(|trace| trace.span_id)))
            .collect();
        assert_eq!(ours, [(Some("INFO"), Some(span_id)), (Some("ERROR"), Some(span_id))]);
        let spans = spans.get_finished_spans().unwrap();
        let [span, outer] = &spans[..] else {
            panic!("expected two spans: {spans:?}")
        };
        assert_eq!((&*span.name, span.parent_span_id), ("span", outer_id));
        assert_eq!((&*outer.name, outer.span_context.span_id()), ("outer", outer_id));
    });
}

/// A layer that comes too late says so. One in a `reload::Layer` from the beginning works.
#[test]
fn layers_in_a_reload_layer() {
    for is_late in ["early", "late"] {
        let variables = [("RUST_LOG", "info"), ("WHEN", is_late)];
        let Some(output) = in_own_process_with(&variables, || {
            let (telemetry, _, logs) = set_up();
            let ours: Box<dyn Layer<Registry> + Send + Sync> = Box::new(telemetry.logs_layer());
            let is_late = std::env::var("WHEN").unwrap() == "late";
            let (early, late) = if is_late {
                (None, Some(ours))
            } else {
                (Some(ours), None)
            };
            let (layer, handle) = reload::Layer::new(early);
            tracing_subscriber::registry().with(layer).init();
            let event = || tracing::info!(target: "own", "recorded");
            event();
            if let Some(late) = late {
                handle.reload(Some(late)).unwrap();
                // This panics in debug builds, and is lost in others.
                let _ = std::panic::catch_unwind(event);
                assert_eq!(logs.get_emitted_logs().unwrap().len(), 0);
            } else {
                event();
                assert_eq!(logs.get_emitted_logs().unwrap().len(), 2);
            }
        }) else {
            continue;
        };
        let words = "a layer of otel-setup was added to a subscriber that had already been built";
        let expected = usize::from(is_late == "late");
        assert_eq!(output.stderr.matches(words).count(), expected, "{}", output.stderr);
    }
}

/// The second of two layers of a kind says that it records nothing.
#[test]
fn layers_that_are_added_twice() {
    let Some(output) = in_own_process_with(&[("RUST_LOG", "info")], || {
        let (telemetry, spans, logs) = set_up();
        let all = Count::default();
        tracing_subscriber::registry()
            .with(telemetry.logs_layer())
            .with(telemetry.spans_layer())
            .with(telemetry.stdout_layer())
            .with(all.clone())
            .with(Some(telemetry.logs_layer()))
            .with(telemetry.spans_layer().boxed())
            .with(telemetry.stdout_layer())
            .init();
        tracing::info_span!("work", order = 7).in_scope(|| tracing::info!(target: "own", "recorded"));
        assert_eq!(*all.0.lock().unwrap(), ["INFO"]);
        assert_eq!(logs.get_emitted_logs().unwrap().len(), 1);
        assert_eq!(spans.get_finished_spans().unwrap().len(), 1);
    }) else {
        return;
    };
    let words = "a layer of otel-setup was added to a subscriber that has one of its kind already";
    assert_eq!(output.stderr.matches(words).count(), 3, "{}", output.stderr);
    assert_eq!(output.stdout.matches("recorded").count(), 1, "{}", output.stdout);
}

/// A filter around a layer may be in a `reload::Layer`, and change at any time.
#[test]
fn filter_in_a_reload_layer() {
    in_own_process(|| {
        let (telemetry, _, logs) = set_up();
        let (level, handle) = reload::Layer::new(LevelFilter::INFO);
        let all = Count::default();
        tracing_subscriber::registry()
            .with(telemetry.logs_layer().with_filter(level))
            .with(all.clone())
            .init();
        for level in [
            LevelFilter::INFO,
            LevelFilter::ERROR,
            LevelFilter::OFF,
            LevelFilter::TRACE,
        ] {
            handle.reload(level).unwrap();
            tracing::info!(target: "own", "{level}");
            tracing::error!(target: "own", "{level}");
            tracing::debug!(target: "own", "{level}");
        }
        let recorded: Vec<_> = logs
            .get_emitted_logs()
            .unwrap()
            .iter()
            .map(|log| {
                let Some(AnyValue::String(body)) = log.record.body() else {
                    panic!("the record has no text")
                };
                format!("{} at {body}", log.record.severity_text().unwrap())
            })
            .collect();
        // `RUST_LOG` is unset, so there is no DEBUG.
        let expected = [
            "INFO at info",
            "ERROR at info",
            "ERROR at error",
            "INFO at trace",
            "ERROR at trace",
        ];
        assert_eq!(recorded, expected);
        assert_eq!(
            all.0.lock().unwrap().len(),
            12,
            "other layers have filters of their own"
        );
    });
}

#[test]
fn warnings_before_the_subscriber_go_to_stderr() {
    let said = run_logging_service(
        env!("CARGO_BIN_EXE_logging_service"),
        "no_subscriber",
        [("RUST_LOG", "details=loud")],
    );
    assert_eq!((said.text, said.lines, said.records), (vec![], vec![], vec![]));
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert!(
        matches!(lines[..], [warning] if warning.starts_with("RUST_LOG=\"details=loud\" has an invalid directive")),
        "{lines:?}"
    );
}

/// A layer that panics at each warning of the set-up.
struct Panicking;

impl<S: Subscriber> Layer<S> for Panicking {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        assert!(event.metadata().target() != "otel_setup", "on purpose");
    }
}

#[test]
fn a_layer_that_panics_at_a_warning_does_not_end_the_exports() {
    in_own_process(|| {
        let collector = Collector::start();
        collector.behave(Behaviour::Forbid);
        let telemetry = otel_setup::builder()
            .otlp_endpoint(collector.url())
            .log_exporters([])
            .without_subscriber()
            .init()
            .unwrap();
        tracing_subscriber::registry().with(Panicking).init();
        let record = |name| global::tracer("app").start(name).end();
        let meter = global::meter("app");
        let observable = meter.u64_observable_counter("observed");
        let _observable = observable.with_callback(|_| panics()).build();
        meter.u64_counter("counted").build().add(1, &[]);
        record("refused");
        let error = block_on(telemetry.flush(TIMEOUT)).unwrap_err();
        assert!(error.to_string().contains("refused: PERMISSION_DENIED"), "{error}");
        collector.behave(Behaviour::Accept);
        record("accepted");
        block_on(telemetry.flush(TIMEOUT)).unwrap();
        assert_eq!(collector.spans().len(), 1);
        let metrics = collector.metrics();
        let names: Vec<_> = metrics.iter().map(|metric| &*metric.name).collect();
        assert_eq!(names, ["counted"]);
    });
}
