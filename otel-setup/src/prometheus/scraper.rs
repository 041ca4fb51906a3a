//! Collects the metrics of one scrape.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;

use crate::metric_reader::Reader;
use crate::prometheus::exemplars::Exemplars;
use crate::prometheus::families::{Names, families};
use crate::prometheus::names::TranslationStrategy;
use crate::prometheus::negotiation::Format;
use crate::prometheus::series::SeriesTable;
use crate::prometheus::text::Text;

/// Reads the metrics, and writes them in a format.
#[derive(Debug)]
pub(crate) struct Scraper {
    reader: Reader,
    strategy: TranslationStrategy,
    tables: Mutex<[Tables; 2]>,
}

/// The names and series of the formats with ASCII names, or of those with any names.
#[derive(Debug, Default)]
struct Tables {
    names: Names,
    series: SeriesTable,
    /// The length of the last text.
    length: usize,
}

impl Scraper {
    pub(crate) fn new(reader: Reader, strategy: TranslationStrategy) -> Self {
        Scraper {
            reader,
            strategy,
            tables: Mutex::default(),
        }
    }

    /// Returns the text of the current metrics, or why there are none.
    pub(crate) fn scrape(&self, format: Format) -> Result<String, String> {
        // Callbacks of the program's instruments run here.
        let scraped = catch_unwind(AssertUnwindSafe(|| self.text(format)));
        scraped.unwrap_or_else(|_| Err("a callback of an instrument panicked".to_owned()))
    }

    fn text(&self, format: Format) -> Result<String, String> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let mut metrics = ResourceMetrics::default();
        let time = SystemTime::now();
        self.reader.collect(&mut metrics).map_err(|error| error.to_string())?;
        let escapes = self.strategy.escapes() || !format.is_utf8;
        let Tables { names, series, length } = &mut tables[usize::from(!escapes)];
        if !metrics.resource().is_empty() {
            names.take_target_info();
        }
        let families = families(&metrics, self.strategy, !escapes, names);
        let exemplars = if format.is_open_metrics {
            Exemplars::collect()
        } else {
            Exemplars::default()
        };
        let mut text = Text::new(format, escapes, names, series, exemplars).with_capacity(*length + *length / 16);
        text.target_info(metrics.resource());
        for family in &families {
            text.family(family);
        }
        let text = text.finish();
        *length = text.len();
        series.end_scrape(time);
        Ok(text)
    }
}
