//! Totals of the last hour, at fewer and fewer times.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::zpages::rpcz::snapshot::{Method, Totals};

/// The windows, with their names.
pub(in crate::zpages) const WINDOWS: [(&str, Duration); 3] = [
    ("minute", Duration::from_secs(60)),
    ("10 minutes", Duration::from_secs(600)),
    ("hour", Duration::from_secs(3600)),
];
/// The kept snapshots by age: up to how many ticks old, and every how many ticks.
const KEPT: [(u64, u64); 3] = [(7, 1), (72, 12), (420, 60)];
/// The number of snapshots that are kept at most.
const MAX_SNAPSHOTS: usize = 7 + 6 + 7;

/// The totals of all methods, now and earlier.
#[derive(Debug)]
pub(super) struct Windows {
    /// The bytes that remain for further methods.
    bytes: usize,
    methods: HashMap<Method, usize>,
    /// The methods that have no room.
    left_out: usize,
    current: Vec<Arc<Totals>>,
    snapshots: VecDeque<Snapshot>,
    tick: u64,
}

/// The totals at one time, by the index of the method. Methods that came later were at zero.
#[derive(Debug)]
struct Snapshot {
    tick: u64,
    time: Instant,
    totals: Vec<Arc<Totals>>,
}

/// The RPCs of a method in the windows.
#[derive(Clone, Debug)]
pub(in crate::zpages) struct Line {
    pub(in crate::zpages) method: Method,
    pub(in crate::zpages) stats: [Stats; WINDOWS.len()],
}

/// The RPCs of a method in a window.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::zpages) struct Stats {
    /// How far the window reaches back, at most a little more than its name says.
    pub(in crate::zpages) reach: Duration,
    pub(in crate::zpages) count: u64,
    pub(in crate::zpages) failures: u64,
    /// RPCs per second.
    pub(in crate::zpages) rate: f64,
    /// The quantiles 0.5, 0.9 and 0.99 in seconds.
    pub(in crate::zpages) quantiles: [Option<f64>; 3],
}

impl Windows {
    pub(super) fn new(bytes: usize, now: Instant) -> Self {
        let start = Snapshot {
            tick: 0,
            time: now,
            totals: Vec::new(),
        };
        Windows {
            bytes,
            methods: HashMap::new(),
            left_out: 0,
            current: Vec::new(),
            snapshots: [start].into(),
            tick: 0,
        }
    }

    /// Takes the current totals.
    pub(super) fn update(&mut self, totals: BTreeMap<Method, Totals>) {
        self.left_out = 0;
        for (method, mut totals) in totals {
            let Some(index) = self.methods.get(&method).copied() else {
                self.add(method, totals);
                continue;
            };
            let current = &mut self.current[index];
            // Unchanged totals stay shared by the snapshots, and unchanged bounds by all totals.
            if **current != totals {
                if current.bounds == totals.bounds {
                    totals.bounds = Arc::clone(&current.bounds);
                }
                *current = Arc::new(totals);
            }
        }
    }

    /// Adds a method, if there is room for it in every snapshot.
    fn add(&mut self, method: Method, mut totals: Totals) {
        let bytes = (totals.size() + size_of::<usize>()) * (MAX_SNAPSHOTS + 1) + method.name.len() + 64;
        let Some(remaining) = self.bytes.checked_sub(bytes) else {
            self.left_out += 1;
            return;
        };
        self.bytes = remaining;
        if let Some(first) = self.current.first()
            && first.bounds == totals.bounds
        {
            totals.bounds = Arc::clone(&first.bounds);
        }
        self.methods.insert(method, self.current.len());
        self.current.push(Arc::new(totals));
    }

    /// Remembers the current totals, and forgets snapshots that no window needs.
    pub(super) fn tick(&mut self, now: Instant) {
        self.tick += 1;
        self.snapshots.push_back(Snapshot {
            tick: self.tick,
            time: now,
            totals: self.current.clone(),
        });
        let tick = self.tick;
        self.snapshots.retain(|snapshot| {
            let age = tick - snapshot.tick;
            KEPT.iter()
                .any(|(max_age, every)| age <= *max_age && snapshot.tick.is_multiple_of(*every))
        });
    }

    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Returns the methods by side and name.
    pub(super) fn lines(&self, now: Instant) -> Vec<Line> {
        let since = WINDOWS.map(|(_, window)| {
            let is_old = |snapshot: &&Snapshot| now.saturating_duration_since(snapshot.time) >= window;
            // Near its start, the process has no snapshot that is old enough.
            self.snapshots.iter().rev().find(is_old).or(self.snapshots.front())
        });
        let mut lines: Vec<Line> = self
            .methods
            .iter()
            .map(|(method, index)| Line {
                method: method.clone(),
                stats: since.map(|since| stats(&self.current[*index], *index, since, now)),
            })
            .collect();
        lines.sort_by(|a, b| a.method.cmp(&b.method));
        lines
    }
}

fn stats(current: &Totals, index: usize, since: Option<&Snapshot>, now: Instant) -> Stats {
    let earlier = since.and_then(|since| since.totals.get(index));
    let new = earlier.map_or_else(|| current.clone(), |earlier| current.since(earlier));
    let reach = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since.time));
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = new.count as f64 / reach.as_secs_f64().max(0.001);
    Stats {
        reach,
        count: new.count,
        failures: new.failures,
        rate,
        quantiles: [0.5, 0.9, 0.99].map(|quantile| new.quantile(quantile)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(name: &str) -> Method {
        Method {
            is_client: false,
            name: name.into(),
        }
    }

    fn totals(count: u64) -> Totals {
        Totals {
            count,
            bounds: [0.1].into(),
            buckets: [count, 0].into(),
            ..Totals::default()
        }
    }

    /// Makes one RPC per second for two hours.
    #[test]
    fn windows_have_the_rpcs_of_their_time() {
        let start = Instant::now();
        let mut windows = Windows::new(100_000, start);
        for tick in 1..=720 {
            windows.update([(method("a"), totals(tick * 10))].into());
            windows.tick(start + Duration::from_secs(tick * 10));
        }
        assert!(windows.snapshots.len() <= MAX_SNAPSHOTS, "{}", windows.snapshots.len());
        let lines = windows.lines(start + Duration::from_secs(7200));
        let counts = lines[0]
            .stats
            .clone()
            .map(|stats| (stats.count, stats.reach.as_secs(), stats.rate));
        assert_eq!(counts, [(60, 60, 1.0), (600, 600, 1.0), (3600, 3600, 1.0)]);
        // Between two snapshots, a window reaches further.
        for tick in 721..=725 {
            windows.update([(method("a"), totals(tick * 10))].into());
            windows.tick(start + Duration::from_secs(tick * 10));
        }
        let lines = windows.lines(start + Duration::from_secs(7255));
        let reach = lines[0].stats.clone().map(|stats| stats.reach.as_secs());
        assert_eq!(reach, [65, 655, 3655]);
    }

    #[test]
    fn windows_begin_with_the_process() {
        let start = Instant::now();
        let mut windows = Windows::new(100_000, start);
        windows.update([(method("a"), totals(4))].into());
        let lines = windows.lines(start + Duration::from_secs(2));
        for stats in &lines[0].stats {
            assert_eq!((stats.count, stats.reach.as_secs(), stats.rate), (4, 2, 2.0));
            assert_eq!(stats.quantiles[0], Some(0.05));
        }
    }

    #[test]
    fn totals_share_their_bounds() {
        let start = Instant::now();
        let mut windows = Windows::new(100_000, start);
        for count in 1..=2 {
            windows.update(["a", "b"].map(|name| (method(name), totals(count))).into());
            windows.tick(start);
        }
        let all = windows.snapshots.iter().flat_map(|snapshot| &snapshot.totals);
        let bounds: Vec<_> = all.map(|totals| totals.bounds.as_ptr()).collect();
        assert_eq!(bounds, [bounds[0]; 4]);
    }

    #[test]
    fn methods_without_room_are_counted() {
        let start = Instant::now();
        let mut windows = Windows::new(10_000, start);
        let all = |count: u64| {
            (0..100)
                .map(|index| (method(&format!("m{index:02}")), totals(count)))
                .collect()
        };
        windows.update(all(1));
        let known = windows.methods.len();
        assert!((1..20).contains(&known), "{known}");
        assert_eq!(windows.left_out(), 100 - known);
        windows.update(all(2));
        assert_eq!((windows.methods.len(), windows.left_out()), (known, 100 - known));
    }
}
