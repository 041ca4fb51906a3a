//! The series of the last scrape, and since when they exist.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::SystemTime;

/// The series of a scrape by the hashes of their names and labels.
///
/// The SDK has one start time for all series of an instrument. But the
/// [specification](https://opentelemetry.io/docs/specs/otel/metrics/sdk/#start-timestamps) says
/// that it should be "the time of the first measurement for each attribute set". So a series
/// starts at the last scrape that did not have it: its value was zero at that time. Prometheus
/// needs it to count the first error of a long-running process.
///
/// The table holds what the SDK reported last, so the SDK's limit on the number of series bounds
/// it.
#[derive(Debug, Default)]
pub(crate) struct SeriesTable {
    hasher: RandomState,
    series: HashMap<u64, Series>,
    /// The number of the current scrape.
    scrape: u64,
    last_scrape: Option<SystemTime>,
}

#[derive(Debug)]
struct Series {
    start_time: SystemTime,
    scrape: u64,
}

impl SeriesTable {
    /// Returns the start time of a series, or `None` if this scrape has it already.
    ///
    /// `instrument_start` is the SDK's start time.
    pub(crate) fn start_time(
        &mut self,
        family: &str,
        labels: &str,
        instrument_start: SystemTime,
    ) -> Option<SystemTime> {
        let (scrape, start) = (self.scrape, self.start(instrument_start));
        let series = self.entry(family, labels, start);
        let is_duplicate = series.scrape == scrape;
        series.scrape = scrape;
        (!is_duplicate).then_some(series.start_time)
    }

    /// Returns the start time of a series that several points of a scrape have: the earliest.
    pub(crate) fn earliest_start_time(
        &mut self,
        family: &str,
        labels: &str,
        instrument_start: SystemTime,
    ) -> SystemTime {
        let (scrape, start) = (self.scrape, self.start(instrument_start));
        let series = self.entry(family, labels, start);
        series.scrape = scrape;
        series.start_time = series.start_time.min(start);
        series.start_time
    }

    /// Returns since when a series exists that no scrape had.
    fn start(&self, instrument_start: SystemTime) -> SystemTime {
        self.last_scrape
            .map_or(instrument_start, |last| last.max(instrument_start))
    }

    fn entry(&mut self, family: &str, labels: &str, start_time: SystemTime) -> &mut Series {
        let key = self.hasher.hash_one((family, labels));
        self.series.entry(key).or_insert(Series {
            start_time,
            scrape: self.scrape.wrapping_sub(1),
        })
    }

    /// Ends a scrape, and forgets series that it did not have. `time` is the time at which the
    /// metrics were collected.
    pub(crate) fn end_scrape(&mut self, time: SystemTime) {
        let scrape = self.scrape;
        self.series.retain(|_, series| series.scrape == scrape);
        self.scrape += 1;
        self.last_scrape = Some(time);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn series_start_with_the_instrument_or_at_the_last_scrape_without_them() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut table = SeriesTable::default();
        assert_eq!(table.start_time("calls", r#"code="OK""#, at(1)), Some(at(1)));
        assert_eq!(table.start_time("calls", r#"code="OK""#, at(1)), None);
        table.end_scrape(at(10));
        assert_eq!(table.start_time("calls", r#"code="OK""#, at(1)), Some(at(1)));
        assert_eq!(table.start_time("calls", r#"code="INTERNAL""#, at(1)), Some(at(10)));
        assert_eq!(table.start_time("later", "", at(15)), Some(at(15)));
        table.end_scrape(at(20));
        assert_eq!(table.start_time("calls", r#"code="INTERNAL""#, at(1)), Some(at(10)));
        table.end_scrape(at(30));
        assert_eq!(table.series.len(), 1);
    }

    #[test]
    fn a_series_of_several_points_starts_with_the_earliest() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let mut table = SeriesTable::default();
        assert_eq!(table.start_time("calls", "", at(3)), Some(at(3)));
        for (instrument_start, expected) in [(3, 3), (1, 1), (2, 1)] {
            assert_eq!(
                table.earliest_start_time("calls", "", at(instrument_start)),
                at(expected)
            );
        }
        table.end_scrape(at(10));
        for instrument_start in [15, 0] {
            assert_eq!(table.earliest_start_time("calls", "", at(instrument_start)), at(1));
        }
        assert_eq!(table.earliest_start_time("later", "", at(2)), at(10));
    }
}
