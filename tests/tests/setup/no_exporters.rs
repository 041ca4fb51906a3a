//! If no signal is exported, `Telemetry`'s layers disable no events of other layers.

use integration_tests::own_process::in_own_process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use otel_setup::StdoutLogs;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl<S: Subscriber> Layer<S> for Count {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn other_layers_receive_all_events() {
    in_own_process(|| {
        let telemetry = otel_setup::builder()
            .trace_exporters([])
            .metric_exporters([])
            .log_exporters([])
            .stdout_logs(StdoutLogs::Off)
            .without_subscriber()
            .init()
            .unwrap();
        let count = Count::default();
        tracing_subscriber::registry()
            .with(telemetry.logs_layer())
            .with(telemetry.spans_layer())
            .with(telemetry.stdout_layer())
            .with(count.clone())
            .init();
        tracing::trace!("one");
        tracing::error!("two");
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    });
}
