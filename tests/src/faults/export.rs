//! A span exporter with a receiver that misbehaves in most rounds.

use std::time::Duration;

use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor};
use tokio::runtime::Runtime;

use crate::background::runtime;
use crate::collector::{Behaviour, Collector};

/// An OTLP receiver, and the exporter to it.
#[derive(Debug)]
pub struct Export {
    /// `None` while it is down.
    collector: Option<Collector>,
    address: String,
    // The runtime of the exporter's connection.
    runtime: Runtime,
}

impl Default for Export {
    fn default() -> Self {
        let collector = Collector::start();
        Export {
            address: collector.url(),
            collector: Some(collector),
            runtime: runtime(),
        }
    }
}

impl Export {
    /// Returns a batch processor that exports to the receiver.
    #[must_use]
    pub fn processor(&self) -> BatchSpanProcessor {
        let _inside = self.runtime.enter();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&self.address)
            .with_timeout(Duration::from_millis(200))
            .build();
        let often = BatchConfigBuilder::default().with_scheduled_delay(Duration::from_millis(20));
        BatchSpanProcessor::builder(exporter.unwrap())
            .with_batch_config(often.build())
            .build()
    }

    /// Sets the behaviour of the receiver, chosen by a number.
    pub fn behave(&self, number: u64) {
        let ways = [
            Behaviour::Hang,
            Behaviour::Refuse,
            Behaviour::PartialSuccess(3),
            Behaviour::Unavailable,
            Behaviour::Slow(Duration::from_millis(50)),
            Behaviour::Accept,
        ];
        let way = usize::try_from(number).unwrap() % ways.len();
        if let Some(collector) = &self.collector {
            collector.behave(ways[way].clone());
        }
    }

    /// Stops the receiver.
    pub fn go_down(&mut self) {
        self.collector = None;
    }

    /// Returns the number of spans received since the last call, and discards them.
    #[must_use]
    pub fn arrived(&self) -> usize {
        self.collector.as_ref().map_or(0, |collector| {
            let spans = collector.spans().len();
            collector.clear();
            spans
        })
    }
}
