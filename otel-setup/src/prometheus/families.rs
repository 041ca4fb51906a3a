//! Metric families: the metrics of all scopes by their names in Prometheus.

use std::collections::{BTreeMap, HashMap, HashSet};

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::metrics::data::{Metric, ResourceMetrics};

use crate::prometheus::kind::Kind;
use crate::prometheus::names::{TranslationStrategy, metric_name, underscores, unit_words};

/// The metrics that share a name and a type.
pub(crate) struct Family<'a> {
    /// The name, for a counter with its suffix.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) help: &'a str,
    pub(crate) unit: String,
    pub(crate) metrics: Vec<(&'a InstrumentationScope, &'a Metric)>,
    /// Whether the family has the series and the name that OpenMetrics gives to its type. Another
    /// family may have taken them.
    pub(crate) is_complete: bool,
}

impl Family<'_> {
    /// Returns the name that OpenMetrics gives to the family: for a counter, without `_total`.
    pub(crate) fn base_name(&self) -> &str {
        base_name(&self.name, self.kind)
    }
}

fn base_name(name: &str, kind: Kind) -> &str {
    let base = name.strip_suffix("_total").filter(|_| kind == Kind::Counter);
    base.unwrap_or(name)
}

/// The names that families have taken since the setup, and the conflicts that were logged.
///
/// A name stays with the family that was first. Otherwise, a metric could lose its name while the
/// service runs.
#[derive(Debug, Default)]
pub(crate) struct Names {
    owners: HashMap<String, String>,
    logged: HashSet<String>,
}

impl Names {
    /// Takes all of these names, or none.
    fn take<const N: usize>(&mut self, names: [String; N], owner: &str) -> bool {
        let is_free = |name: &String| self.owners.get(name).is_none_or(|other| other == owner);
        let are_free = names.iter().all(is_free);
        if are_free {
            for name in names {
                self.owners.entry(name).or_insert_with(|| owner.to_owned());
            }
        }
        are_free
    }

    /// Logs a conflict, once.
    ///
    /// Clause "Metric Metadata": "If dropping a comment or metric points, the exporter SHOULD warn
    /// the user through error logging."
    pub(crate) fn warn(&mut self, problem: String) {
        if !self.logged.contains(&problem) {
            tracing::warn!(target: "otel_setup", "{problem} (logged once)");
            self.logged.insert(problem);
        }
    }

    /// Takes the names of the resource's metric.
    pub(crate) fn take_target_info(&mut self) {
        self.take(["target".to_owned(), "target_info".to_owned()], "the resource");
    }

    /// Takes the names of a family. Returns whether it is complete, or `None` if it has to be
    /// dropped.
    fn take_family(&mut self, name: &str, kind: Kind) -> Option<bool> {
        let owner = format!("the {} {name}", kind.type_name());
        let with = |suffix| format!("{}{suffix}", base_name(name, kind));
        let (is_free, is_complete) = match kind {
            Kind::Counter => (
                self.take([name.to_owned()], &owner),
                name.ends_with("_total") && self.take([with(""), with("_created")], &owner),
            ),
            Kind::UpDownCounter | Kind::Gauge => (self.take([name.to_owned()], &owner), true),
            Kind::Histogram => (
                self.take([with(""), with("_bucket"), with("_sum"), with("_count")], &owner),
                self.take([with("_created")], &owner),
            ),
        };
        is_free.then_some(is_complete)
    }
}

/// Returns the families of all metrics, by their names.
///
/// Clause "Metric Metadata": "Exporters MUST drop entire metrics to prevent conflicting TYPE
/// comments, but SHOULD NOT drop metric points as a result of conflicting UNIT or HELP comments."
pub(crate) fn families<'a>(
    metrics: &'a ResourceMetrics,
    strategy: TranslationStrategy,
    utf8: bool,
    names: &mut Names,
) -> Vec<Family<'a>> {
    let mut scopes: Vec<_> = metrics.scope_metrics().collect();
    // The SDK's order is random.
    scopes.sort_by_key(|scope| (scope.scope().name(), scope.scope().version()));
    let mut families: BTreeMap<String, Family<'a>> = BTreeMap::new();
    for scope in scopes {
        for metric in scope.metrics() {
            let kind = Kind::from_metric(metric);
            let Some(name) = metric_name(metric.name(), metric.unit(), kind, strategy) else {
                names.warn(format!(
                    "Prometheus has no name for the metric {:?}; dropping it",
                    metric.name()
                ));
                continue;
            };
            let name = if utf8 { name } else { underscores(&name) };
            let Some(is_complete) = names.take_family(&name, kind) else {
                names.warn(conflict(metric, &name, kind));
                continue;
            };
            let family = families.entry(name).or_insert_with_key(|name| Family {
                name: name.clone(),
                kind,
                help: metric.description(),
                unit: unit_words(metric.unit(), kind),
                metrics: Vec::new(),
                is_complete,
            });
            if family.help != metric.description() {
                let (name, first) = (&family.name, family.help);
                names.warn(format!("the metric {name} has several descriptions; using {first:?}"));
            }
            let unit = unit_words(metric.unit(), kind);
            if family.unit.is_empty() {
                family.unit = unit;
            } else if !unit.is_empty() && family.unit != unit {
                let (name, first) = (&family.name, &family.unit);
                names.warn(format!(
                    "the metric {name} has series in {first} and in {unit}; give one of them another name"
                ));
            }
            family.metrics.push((scope.scope(), metric));
        }
    }
    families.into_values().collect()
}

fn conflict(metric: &Metric, name: &str, kind: Kind) -> String {
    let (metric, kind) = (metric.name(), kind.type_name());
    format!("another metric has a name of the {kind} {name} in Prometheus; dropping the metric {metric:?}")
}
