//! Values of the user's own attributes on metrics, with the time series that have them.

use std::fmt;
use std::hash::Hasher;
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::KeyValue;

use super::series::MethodMetrics;

/// The values of some attributes. A request may lack some of them.
pub(crate) type Values<'v> = &'v [Option<&'v str>];

/// A set of values, with the time series of each method that has met it.
pub(crate) struct AttributeSet {
    values: Box<[Option<Box<str>>]>,
    attributes: Box<[KeyValue]>,
    /// Sorted by method.
    series: RwLock<Vec<(MethodKey, Arc<MethodMetrics>)>>,
}

/// The id of the instruments, and the address of the method.
pub(crate) type MethodKey = (u64, usize);

impl AttributeSet {
    /// Creates a set without time series. Values of a key that is `None` are not recorded.
    pub(crate) fn new(keys: &[Option<&'static str>], values: Values<'_>) -> Self {
        let mut attributes = Vec::with_capacity(keys.len());
        for (key, value) in keys.iter().zip(values) {
            if let (Some(key), Some(value)) = (key, value) {
                attributes.push(KeyValue::new(*key, (*value).to_owned()));
            }
        }
        AttributeSet {
            values: values.iter().map(|value| value.map(Box::from)).collect(),
            attributes: attributes.into_boxed_slice(),
            series: RwLock::default(),
        }
    }

    #[inline]
    pub(crate) fn has(&self, values: Values<'_>) -> bool {
        let own = self.values.iter().map(Option::as_deref);
        own.eq(values.iter().copied())
    }

    /// Returns the time series of a method with these values. `make` makes them of the attributes.
    #[inline]
    pub(crate) fn series(
        &self,
        method: MethodKey,
        make: impl FnOnce(&[KeyValue]) -> Arc<MethodMetrics>,
    ) -> Arc<MethodMetrics> {
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Ok(at) = find(&series, method) {
            return Arc::clone(&series[at].1);
        }
        drop(series);
        self.insert(method, make)
    }

    #[cold]
    fn insert(&self, method: MethodKey, make: impl FnOnce(&[KeyValue]) -> Arc<MethodMetrics>) -> Arc<MethodMetrics> {
        let metrics = make(&self.attributes);
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
