//! A panic in a layer of the `tracing` subscriber costs lines, but never an RPC.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use integration_tests::panics::{CALLS, assert_all_counted, assert_all_reply, panics, start, with_layer};
use otel_runtime::{LoggedCalls, ServerLayer};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// A layer that panics in one of its methods, for the spans and the events of calls.
struct Panicking {
    method: &'static str,
    panics: Arc<AtomicU64>,
}

impl Panicking {
    fn at(&self, method: &str, metadata: Option<&Metadata<'_>>) {
        let is_ours =
            metadata.is_some_and(|found| ["otel_runtime::rpc", "otel_runtime::calls"].contains(&found.target()));
        if is_ours && method == self.method {
            self.panics.fetch_add(1, Ordering::Relaxed);
            panics::<()>();
        }
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Panicking {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.at("on_new_span", Some(attributes.metadata()));
    }

    fn on_record(&self, id: &Id, _: &Record<'_>, context: Context<'_, S>) {
        self.at("on_record", context.metadata(id));
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.at("on_enter", context.metadata(id));
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.at("on_exit", context.metadata(id));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.at("on_close", context.metadata(&id));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.at("on_event", Some(event.metadata()));
    }
}

#[tokio::test]
async fn a_layer_that_panics_costs_no_rpc() {
    for is_annotated in [false, true] {
        for method in [
            "on_new_span",
            "on_record",
            "on_enter",
            "on_exit",
            "on_close",
            "on_event",
        ] {
            let telemetry = start();
            let panics = Arc::<AtomicU64>::default();
            let layer = Panicking {
                method,
                panics: Arc::clone(&panics),
            };
            let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
            let layer = ServerLayer::new().tracing_span().log_calls(LoggedCalls::All);
            let server = with_layer(layer, is_annotated).await;
            assert_all_reply(&server).await;
            assert_all_counted(&telemetry, CALLS).await;
            telemetry.spans(8).await;
            assert!(panics.load(Ordering::Relaxed) >= CALLS, "{method}: {panics:?}");
        }
    }
}
