//! `meter_provider.views`.

use std::error::Error;

use opentelemetry::Key;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, InstrumentKind, Stream};

use super::node::Value;
use super::section::{Item, Section};
use crate::error::InitError;

/// The maximum number of series of an instrument, and of buckets of a series. The SDK takes the
/// memory for all series at once, and reads a number of buckets above 2^31 as a negative one.
const MAX_SIZE: u32 = 1 << 16;

/// A view: the instruments that it selects, and the stream that they have.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    name_pattern: Option<String>,
    kind: Option<InstrumentKind>,
    selected_unit: Option<String>,
    meter_name: Option<String>,
    meter_version: Option<String>,
    meter_schema_url: Option<String>,
    name: Option<String>,
    description: Option<String>,
    aggregation: Option<Aggregation>,
    cardinality_limit: Option<usize>,
    attribute_keys: Option<Vec<Key>>,
}

impl View {
    /// Returns the stream of an instrument, or `None` if the view does not select it.
    pub(crate) fn stream(&self, instrument: &Instrument) -> Option<Stream> {
        let scope = instrument.scope();
        let is = |expected: &Option<String>, found: Option<&str>| {
            expected.as_deref().is_none_or(|expected| found == Some(expected))
        };
        let is_selected = self
            .name_pattern
            .as_deref()
            .is_none_or(|pattern| matches(pattern, instrument.name()))
            && self.kind.is_none_or(|kind| kind == instrument.kind())
            && is(&self.selected_unit, Some(instrument.unit()))
            && is(&self.meter_name, Some(scope.name()))
            && is(&self.meter_version, scope.version())
            && is(&self.meter_schema_url, scope.schema_url());
        if is_selected { self.build().ok() } else { None }
    }

    fn build(&self) -> Result<Stream, Box<dyn Error>> {
        let mut stream = Stream::builder();
        if let Some(name) = &self.name {
            stream = stream.with_name(name.clone());
        }
        if let Some(description) = &self.description {
            stream = stream.with_description(description.clone());
        }
        if let Some(aggregation) = &self.aggregation {
            stream = stream.with_aggregation(aggregation.clone());
        }
        if let Some(limit) = self.cardinality_limit {
            stream = stream.with_cardinality_limit(limit);
        }
        if let Some(keys) = &self.attribute_keys {
            stream = stream.with_allowed_attribute_keys(keys.clone());
        }
        stream.build()
    }
}

fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Returns whether a text matches a pattern, in which `*` stands for any characters, and `?` for
/// one. Upper and lower case do not differ, as in names of instruments.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place) = (0, 0);
    // The last star, and the end of the text that it stands for.
    let mut star = None;
    while place < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, place));
                at += 1;
            }
            Some(character) if *character == '?' || *character == text[place] => {
                at += 1;
                place += 1;
            }
            _ => {
                let Some((start, end)) = star else { return false };
                star = Some((start, end + 1));
                (at, place) = (start + 1, end + 1);
            }
        }
    }
    pattern[at..].iter().all(|character| *character == '*')
}

pub(super) fn read(item: &Item<'_>) -> Result<View, InitError> {
    let mut section = item.section()?;
    let selector = section.required("selector")?;
    let stream = section.required("stream")?;
    section.finish()?;
    let mut view = View::default();
    select(&mut view, selector.section()?)?;
    describe(&mut view, stream.section()?)?;
    if let Some(name) = stream.section()?.get("name")
        && view.name_pattern.as_deref().is_none_or(is_pattern)
    {
        name.warn("is that of all instruments which the view selects");
    }
    view.build().map_err(|error| stream.error(error))?;
    Ok(view)
}

fn select(view: &mut View, mut section: Section<'_>) -> Result<(), InitError> {
    let kinds = [
        ("counter", InstrumentKind::Counter),
        ("gauge", InstrumentKind::Gauge),
        ("histogram", InstrumentKind::Histogram),
        ("observable_counter", InstrumentKind::ObservableCounter),
        ("observable_gauge", InstrumentKind::ObservableGauge),
        ("observable_up_down_counter", InstrumentKind::ObservableUpDownCounter),
        ("up_down_counter", InstrumentKind::UpDownCounter),
    ];
    view.name_pattern = section.text("instrument_name")?.map(str::to_owned);
    view.kind = section
        .get("instrument_type")
        .map(|item| item.one_of(&kinds))
        .transpose()?;
    view.selected_unit = section.text("unit")?.map(str::to_owned);
    view.meter_name = section.text("meter_name")?.map(str::to_owned);
    view.meter_version = section.text("meter_version")?.map(str::to_owned);
    view.meter_schema_url = section.text("meter_schema_url")?.map(str::to_owned);
    section.finish()
}

fn describe(view: &mut View, mut section: Section<'_>) -> Result<(), InitError> {
    let name = section.get("name").map(|item| item.name()).transpose()?;
    view.name = name.map(str::to_owned);
    view.description = section.text("description")?.map(str::to_owned);
    let limit = section.get("aggregation_cardinality_limit");
    view.cardinality_limit = limit
        .map(|item| size(&item, 1))
        .transpose()?
        .map(|limit| limit as usize);
    view.aggregation = section.get("aggregation").map(|item| aggregation(&item)).transpose()?;
    if let Some(item) = section.get("attribute_keys") {
        let mut keys = item.section()?;
        if let Some(excluded) = keys.get("excluded") {
            return Err(excluded.error("is not supported by OpenTelemetry's SDK for Rust; use `included`"));
        }
        if let Some(included) = keys.get("included") {
            let mut names = Vec::new();
            for item in included.list()? {
                let name = item.text()?;
                if is_pattern(name) {
                    return Err(item.error("is a pattern, which OpenTelemetry's SDK for Rust does not support"));
                }
                names.push(Key::from(name.to_owned()));
            }
            view.attribute_keys = Some(names);
        }
        keys.finish()?;
    }
    section.finish()
}

fn aggregation(item: &Item<'_>) -> Result<Aggregation, InitError> {
    let (kind, settings) = item.only()?;
    let mut section = settings.section()?;
    let aggregation = match kind {
        "default" => Aggregation::Default,
        "drop" => Aggregation::Drop,
        "sum" => Aggregation::Sum,
        "last_value" => Aggregation::LastValue,
        "explicit_bucket_histogram" => Aggregation::ExplicitBucketHistogram {
            boundaries: boundaries(&mut section)?,
            record_min_max: record_min_max(&mut section)?,
        },
        "base2_exponential_bucket_histogram" => {
            let scale = section
                .get("max_scale")
                .map(|item| item.integer(&(-10..=20)))
                .transpose()?;
            let max_size = section.get("max_size").map(|item| size(&item, 2)).transpose()?;
            Aggregation::Base2ExponentialHistogram {
                max_scale: scale.and_then(|scale| i8::try_from(scale).ok()).unwrap_or(20),
                max_size: max_size.unwrap_or(160),
                record_min_max: record_min_max(&mut section)?,
            }
        }
        _ => {
            return Err(settings.error(
                "is not a known aggregation; known are default, drop, sum, last_value, explicit_bucket_histogram, \
                 base2_exponential_bucket_histogram",
            ));
        }
    };
    section.finish()?;
    Ok(aggregation)
}

/// Reads the maximum number of series or of buckets.
fn size(item: &Item<'_>, min: i64) -> Result<u32, InitError> {
    let size = u32::try_from(item.integer(&(min..=i64::MAX))?).unwrap_or(u32::MAX);
    if size > MAX_SIZE {
        item.warn(format_args!("is greater than {MAX_SIZE}; using {MAX_SIZE}"));
    }
    Ok(size.min(MAX_SIZE))
}

fn record_min_max(section: &mut Section<'_>) -> Result<bool, InitError> {
    let item = section.get("record_min_max");
    Ok(item.map(|item| item.boolean()).transpose()?.unwrap_or(true))
}

/// Returns the boundaries, by default those of the specification.
fn boundaries(section: &mut Section<'_>) -> Result<Vec<f64>, InitError> {
    let Some(list) = section.get("boundaries") else {
        return Ok(vec![
            0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10_000.0,
        ]);
    };
    // Without a boundary, there is one bucket.
    if *list.value() == Value::List(Vec::new()) {
        return Ok(Vec::new());
    }
    list.list()?.iter().map(Item::float).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "rpc.server.call.duration", true),
            ("rpc.*.duration", "rpc.server.call.duration", true),
            ("rpc.*.duration", "rpc.server.call.durations", false),
            ("a*b*c", "abbbcbc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("RPC.x", "rpc.X", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
