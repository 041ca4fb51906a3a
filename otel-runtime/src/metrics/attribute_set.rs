//! Values of the user's own attributes on metrics, with the time series that have them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use opentelemetry::KeyValue;

use super::series::MethodMetrics;
use crate::{limits, semconv};

/// The keys of attributes. `None` for one that is not recorded.
pub(crate) type Keys = Arc<[Option<&'static str>]>;

/// The values of some attributes. A request may lack some of them.
pub(crate) type Values<'v> = &'v [Option<&'v str>];

/// A set of values, with the time series of each method that has met it.
pub(crate) struct AttributeSet {
    keys: Keys,
    values: Box<[Option<Box<str>>]>,
    attributes: Box<[KeyValue]>,
    /// The number of sets that the layer distinguishes.
    limit: usize,
    /// Sorted by method.
    series: RwLock<Vec<(MethodKey, Arc<MethodMetrics>)>>,
}

/// The id of the instruments, and the address of the method.
pub(crate) type MethodKey = (u64, usize);

impl AttributeSet {
    /// Creates a set without time series, of a layer that distinguishes `limit` sets.
    pub(crate) fn new(keys: &Keys, values: Values<'_>, limit: usize) -> Self {
        AttributeSet {
            keys: Arc::clone(keys),
            values: values.iter().map(|value| value.map(Box::from)).collect(),
            attributes: attributes(keys, values),
            limit,
            series: RwLock::default(),
        }
    }

    /// Creates the set of all values beyond the limit.
    pub(crate) fn of_others(keys: &Keys, limit: usize) -> Self {
        AttributeSet::new(keys, &vec![Some(semconv::OTHER); keys.len()], limit)
    }

    #[inline]
    pub(crate) fn has(&self, values: Values<'_>) -> bool {
        let own = self.values.iter().map(Option::as_deref);
        own.eq(values.iter().copied())
    }

    /// Returns the time series of a method with these values. `make` makes them.
    #[inline]
    pub(crate) fn series(&self, method: MethodKey, make: impl FnOnce() -> Arc<MethodMetrics>) -> Arc<MethodMetrics> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Ok(at) = find(&series, method) {
            return Arc::clone(&series[at].1);
        }
        drop(series);
        self.insert(method, make)
    }

    #[cold]
    fn insert(&self, method: MethodKey, make: impl FnOnce() -> Arc<MethodMetrics>) -> Arc<MethodMetrics> {
        let metrics = make();
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        match find(&series, method) {
            Ok(at) => Arc::clone(&series[at].1),
            Err(at) => {
                series.insert(at, (method, Arc::clone(&metrics)));
                metrics
            }
        }
    }
}

/// Returns the index of a method, or the one at which it is missing.
fn find(series: &[(MethodKey, Arc<MethodMetrics>)], method: MethodKey) -> Result<usize, usize> {
    series.binary_search_by_key(&method, |(known, _)| *known)
}

fn attributes(keys: &Keys, values: Values<'_>) -> Box<[KeyValue]> {
    let recorded = keys.iter().zip(values);
    let recorded = recorded.filter_map(|(key, value)| Some(KeyValue::new((*key)?, (*value)?.to_owned())));
    recorded.collect()
}

/// The sets of all layers that have the same instruments, by their keys.
///
/// A program may make a layer for each channel. So those of one layer are bounded, and these, too.
/// Layers with other keys do not count: their callers would take each other's place.
#[derive(Default)]
pub(crate) struct AllSets(Mutex<HashMap<Keys, HashSet<Box<[KeyValue]>>>>);

impl AllSets {
    /// Returns the attributes of a set. If there are too many sets, their values are `_OTHER`.
    #[cold]
    pub(crate) fn admit<'s>(&self, set: &'s AttributeSet) -> Cow<'s, [KeyValue]> {
        let others = attributes(&set.keys, &vec![Some(semconv::OTHER); set.keys.len()]);
        if set.attributes.is_empty() || set.attributes == others {
            return Cow::Borrowed(&set.attributes);
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sets = all.entry(Arc::clone(&set.keys)).or_default();
        if !sets.contains(&set.attributes) {
            if sets.len() >= set.limit.max(limits::ATTRIBUTE_SETS) {
                return Cow::Owned(others.into_vec());
            }
            sets.insert(set.attributes.clone());
        }
        Cow::Borrowed(&set.attributes)
    }
}

/// A hasher of numbers that nobody outside of the program chooses.
#[derive(Default)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

impl fmt::Debug for AttributeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttributeSet").finish_non_exhaustive()
    }
}
