//! Attributes of the user's own on metrics, with a bounded number of values.
//!
//! Each layer keeps the sets of values that it has met, up to its limit, and with each set the time
//! series of every method. A call then has a pointer to its series, which it finds by its values
//! and its method at once, without a lock. Only values beyond the limit are looked up under one.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, PoisonError, RwLock};

use super::request::RpcRequest;
use crate::grpc::side::Side;
use crate::instrumentation::Instrumentation;
use crate::method::Method;
use crate::metrics::append_table::AppendTable;
use crate::metrics::attribute_set::{AttributeSet, Keys, MethodKey, Mix, Values};
use crate::metrics::series::MethodMetrics;
use crate::{guard, limits, semconv};

/// Number of sets of values that a layer distinguishes, unless the user sets another.
const DEFAULT_LIMIT: usize = 100;

/// Attributes that metrics have anyway.
const RESERVED: [&str; 4] = [
    semconv::RPC_SYSTEM_NAME,
    semconv::RPC_METHOD,
    semconv::RPC_STATUS_CODE,
    semconv::ERROR_TYPE,
];

type UseValues<'u> = &'u mut dyn FnMut(Values<'_>);
type MakeValues = dyn Fn(&RpcRequest<'_>, UseValues<'_>) + Send + Sync;

/// The attributes of one layer.
#[derive(Clone)]
pub(crate) struct MetricAttributes {
    /// `None` for a key that is ignored.
    keys: Keys,
    values: Arc<MakeValues>,
    limit: usize,
    sets: Arc<RwLock<Sets>>,
    known: Arc<AppendTable<KnownSeries>>,
}

/// The time series of a method with a set of values.
struct KnownSeries {
    set: Arc<AttributeSet>,
    method: MethodKey,
    series: Arc<MethodMetrics>,
}

#[derive(Default)]
struct Sets {
    /// By the hash of their values.
    by_hash: HashMap<u64, Vec<Arc<AttributeSet>>, BuildHasherDefault<Mix>>,
    /// The number of sets, without the one that has no values.
    len: usize,
    /// The set of all values beyond the limit.
    other: Option<Arc<AttributeSet>>,
}

impl MetricAttributes {
    pub(crate) fn new<const N: usize>(
        side: Side,
        keys: [&'static str; N],
        limit: Option<usize>,
        values: impl for<'a> Fn(&RpcRequest<'a>) -> [Option<&'a str>; N] + Send + Sync + 'static,
    ) -> Self {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        let keys = keys_to_record(side, &keys);
        let is_recorded: [bool; N] = std::array::from_fn(|index| keys[index].is_some());
        MetricAttributes {
            keys,
            values: Arc::new(move |request: &RpcRequest<'_>, use_values: UseValues<'_>| {
                let values = values(request);
                // Values of ignored keys would use up the limit.
                let value = |index: usize| values[index].filter(|_| is_recorded[index]).and_then(cut);
                use_values(&std::array::from_fn::<_, N, _>(value));
            }),
            limit,
            sets: Arc::default(),
            known: known_series(limit),
        }
    }

    /// Sets the limit, for a layer that has not met any value.
    pub(crate) fn with_limit(&self, limit: usize) -> Self {
        MetricAttributes {
            limit,
            sets: Arc::default(),
            known: known_series(limit),
            ..self.clone()
        }
    }

    /// Returns the time series of a method with the values of a request.
    ///
    /// Returns `None` if the user's function panics, or the meter.
    pub(crate) fn series(
        &self,
        request: &RpcRequest<'_>,
        method: &'static Method,
        instrumentation: &Instrumentation,
    ) -> Option<Arc<MethodMetrics>> {
        let mut series = None;
        guard::METRIC_ATTRIBUTES.run(|| {
            (self.values)(request, &mut |values| {
                let key = method.key(instrumentation.instruments());
                let hash = hash(key.0 ^ key.1 as u64, values);
                let known = self.known.find(hash, |known| known.is(key, values));
                series = match known {
                    Some(known) => Some(Arc::clone(&known.series)),
                    None => self.look_up(values, hash, method, instrumentation),
                };
            });
        });
        series
    }

    #[cold]
    #[inline(never)]
    fn look_up(
        &self,
        values: Values<'_>,
        hash: u64,
        method: &'static Method,
        instrumentation: &Instrumentation,
    ) -> Option<Arc<MethodMetrics>> {
        let (set, instruments) = (self.set_with(values), instrumentation.instruments());
        let series = guard::METER.run(|| method.metrics_with(instruments, &set))?;
        // Values beyond the limit have the set of all others.
        if set.has(values) {
            let method = method.key(instruments);
            let known = KnownSeries {
                set,
                method,
                series: Arc::clone(&series),
            };
            self.known.insert(hash, known, |known| known.is(method, values));
        }
        Some(series)
    }

    /// Returns the set of values of a request, or that of all values beyond the limit.
    ///
    /// Returns `None` if the user's function panics.
    pub(crate) fn set_of(&self, request: &RpcRequest<'_>) -> Option<Arc<AttributeSet>> {
        let mut set = None;
        guard::METRIC_ATTRIBUTES.run(|| {
            (self.values)(request, &mut |values| set = Some(self.set_with(values)));
        });
        set
    }

    /// Returns the set of these values, which may be new, or that of all values beyond the limit.
    fn set_with(&self, values: Values<'_>) -> Arc<AttributeSet> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        let hash = hash(0, values);
        if let Some(set) = sets.find(hash, values) {
            return set;
        }
        if let Some(other) = sets.other.as_ref().filter(|_| self.is_beyond(&sets, values)) {
            return Arc::clone(other);
        }
        drop(sets);
        self.insert(hash, values)
    }

    /// Returns whether new values are beyond the limit. A request without any has no other ones.
    fn is_beyond(&self, sets: &Sets, values: Values<'_>) -> bool {
        sets.len >= self.limit && has_any(values)
    }

    #[cold]
    fn insert(&self, hash: u64, values: Values<'_>) -> Arc<AttributeSet> {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = sets.find(hash, values) {
            return set;
        }
        if self.is_beyond(&sets, values) {
            let other = || Arc::new(AttributeSet::of_others(&self.keys, self.limit));
            return Arc::clone(sets.other.get_or_insert_with(other));
        }
        let set = Arc::new(AttributeSet::new(&self.keys, values, self.limit));
        sets.len += usize::from(has_any(values));
        sets.by_hash.entry(hash).or_default().push(Arc::clone(&set));
        set
    }
}

fn has_any(values: Values<'_>) -> bool {
    values.iter().any(Option::is_some)
}

/// Returns the keys, with `None` for those that cannot be recorded, of which it warns.
fn keys_to_record(side: Side, keys: &[&'static str]) -> Keys {
    let of_target = match side {
        Side::Server => &[][..],
        Side::Client => &[semconv::SERVER_ADDRESS, semconv::SERVER_PORT],
    };
    let recorded = keys.iter().enumerate().map(|(index, key)| {
        let reason = if RESERVED.contains(key) || of_target.contains(key) {
            "which metrics of RPCs have anyway: choose another name"
        } else if keys[..index].contains(key) {
            "which is there twice: write it once"
        } else if key.is_empty() {
            "which has no name: write one such as \"app.tenant\""
        } else {
            return Some(*key);
        };
        tracing::warn!(target: "otel_runtime", "ignoring the metric attribute {key:?}, {reason}");
        None
    });
    recorded.collect()
}

impl KnownSeries {
    #[inline]
    fn is(&self, method: MethodKey, values: Values<'_>) -> bool {
        self.method == method && self.set.has(values)
    }
}

/// Returns a table of the series of a few methods with each set of values. A bucket takes 16 bytes.
fn known_series(limit: usize) -> Arc<AppendTable<KnownSeries>> {
    Arc::new(AppendTable::new(limit.saturating_mul(8).clamp(64, 65_536)))
}

/// Returns a hash of a number and the values.
///
/// Callers may choose values of one hash. That is no harm: there are not more than the limit.
#[inline]
fn hash(number: u64, values: Values<'_>) -> u64 {
    let mut mix = Mix::default();
    mix.write_u64(number);
    for value in values {
        let value = value.unwrap_or_default().as_bytes();
        mix.write_usize(value.len());
        let (chunks, rest) = value.as_chunks::<8>();
        for chunk in chunks {
            mix.write_u64(u64::from_le_bytes(*chunk));
        }
        if !rest.is_empty() {
            // The last eight bytes, some of them again: a number at a time is cheaper than a byte.
            let short = || rest.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            mix.write_u64(value.last_chunk().map_or_else(short, |last| u64::from_le_bytes(*last)));
        }
    }
    mix.finish()
}

/// Cuts a value. An empty one counts as none, since Prometheus does not tell them apart.
#[inline]
fn cut(value: &str) -> Option<&str> {
    (!value.is_empty()).then(|| limits::cut(value, limits::NAME))
}

impl Sets {
    #[inline]
    fn find(&self, hash: u64, values: Values<'_>) -> Option<Arc<AttributeSet>> {
        let sets = self.by_hash.get(&hash)?;
        sets.iter().find(|set| set.has(values)).cloned()
    }
}

impl fmt::Debug for MetricAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricAttributes").finish_non_exhaustive()
    }
}
