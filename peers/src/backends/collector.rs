//! A Collector, which writes what it receives to files, and counts spans.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::free_address::free_address;
use integration_tests::http;
use integration_tests::telemetry::Attributes;
use serde_json::{Deserializer, Value};

use super::outage::{Arrived, COUNTER, Receiver};
use super::{FOLDER, logs, metrics, spans};
use crate::daemon::{Daemon, configured};
use crate::poll::until_found;
use crate::tools::go_program;

/// Builds the Collector of `peers/backends/collector`, and returns its path.
#[must_use]
pub fn install(directory: &str) -> PathBuf {
    let sources = format!("{FOLDER}/collector");
    go_program(directory, "collector", &sources, &["main.go", "go.mod", "go.sum"], ".")
}

/// A Collector, which can be killed and started again.
#[derive(Debug)]
pub struct Collector {
    program: PathBuf,
    /// The addresses of OTLP over gRPC and HTTP, and of the metrics.
    addresses: [SocketAddr; 3],
    /// The name of the configuration, and what replaces names in it besides addresses.
    template: &'static str,
    values: Vec<(&'static str, String)>,
    folder: tempfile::TempDir,
    daemon: Option<Daemon>,
}

impl Collector {
    /// Starts a Collector that passes metrics on to a Prometheus by an exporter.
    ///
    /// The exporter is `prometheus`, which is scraped, or one of `otlp_http` and
    /// `prometheusremotewrite`, which send to `target`.
    #[must_use]
    pub fn start_for_prometheus(program: &Path, exporter: &str, target: SocketAddr) -> Self {
        let mut collector = Self::stopped(program);
        collector.template = "collector-prometheus.yaml";
        collector.values = vec![("EXPORTER", exporter.to_owned()), ("TARGET", target.to_string())];
        collector.restart();
        collector
    }

    /// Prepares a Collector that does not run yet.
    #[must_use]
    pub fn stopped(program: &Path) -> Self {
        Collector {
            program: program.to_owned(),
            addresses: [free_address(), free_address(), free_address()],
            template: "collector.yaml",
            values: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
            daemon: None,
        }
    }

    /// Ends the Collector, which writes what it has, and returns all items in the file of a signal.
    #[must_use]
    pub fn ended(&mut self, signal: &str, items: impl Fn(&Value) -> Vec<Value>) -> Vec<Value> {
        self.end();
        self.written(signal, items)
    }

    /// Waits until this number of items is in the file of a signal, and returns them.
    ///
    /// `items` returns those of a message, and its resource. Asserts that there are no more.
    #[must_use]
    pub fn received(&self, signal: &str, count: usize, items: impl Fn(&Value) -> Vec<Value>) -> Vec<Value> {
        let found = until_found(|| {
            let found = self.written(signal, &items);
            if found.len() >= count {
                Ok(found)
            } else {
                Err(format!("{} of {count} {signal}", found.len()))
            }
        });
        assert_eq!(found.len(), count, "{signal}");
        found
    }

    fn written(&self, signal: &str, items: impl Fn(&Value) -> Vec<Value>) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join(signal)).unwrap_or_default();
        // The last message may not be whole yet.
        let messages = Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok);
        messages.flat_map(|message| items(&message)).collect()
    }

    fn arrived(&self) -> Arrived {
        let mut found = Arrived::default();
        for span in self.written("traces", spans) {
            Arrived::add(&mut found.spans, span["spanId"].to_string());
        }
        for record in self.written("logs", logs) {
            Arrived::add(&mut found.logs, record["body"].to_string());
        }
        let metrics = self.written("metrics", metrics);
        let counters = metrics.iter().filter(|metric| metric["name"] == COUNTER);
        let values = counters.map(|metric| metric["sum"]["dataPoints"][0]["asInt"].as_str().unwrap());
        found.made = values.map(|value| value.parse().unwrap()).max().unwrap_or_default();
        found
    }

    /// Returns the address of the metrics.
    #[must_use]
    pub fn metrics(&self) -> SocketAddr {
        self.addresses[2]
    }
}

impl Receiver for Collector {
    fn start(program: &Path) -> Self {
        let mut collector = Self::stopped(program);
        collector.restart();
        collector
    }

    /// Starts the Collector at its addresses. It adds to the files of earlier runs.
    fn restart(&mut self) {
        self.kill();
        let [grpc, http, metrics] = self.addresses;
        let values = [("GRPC", grpc), ("HTTP", http), ("METRICS", metrics)];
        let addresses = values.map(|(name, address)| (name, address.to_string()));
        let values: Vec<_> = addresses.into_iter().chain(self.values.clone()).collect();
        let mut command = Command::new(&self.program);
        let template = format!("{FOLDER}/{}", self.template);
        let config = configured(&template, self.folder.path(), &values);
        command.arg("--config").arg(config).env_clear();
        self.daemon = Some(Daemon::start(command, self.folder.path(), http));
    }

    fn endpoint(&self, protocol: &str) -> String {
        let [grpc, http, _] = self.addresses;
        format!("http://{}", if protocol == "grpc" { grpc } else { http })
    }

    fn wait_until(&self, is_met: impl Fn(&Arrived) -> bool) -> Arrived {
        until_found(|| {
            let found = self.arrived();
            if is_met(&found) {
                return Ok(found);
            }
            let counts = (found.spans.len(), found.logs.len(), found.made);
            Err(format!("{counts:?} are not enough"))
        })
    }

    fn daemon(&mut self) -> &mut Option<Daemon> {
        &mut self.daemon
    }
}

/// Adds the values of a metric by these labels, with those whose label `only` has this value.
///
/// A bucket's boundary is written as Rust writes it.
#[must_use]
pub fn scraped<const N: usize>(
    address: SocketAddr,
    name: &str,
    only: Option<(&str, &str)>,
    by: [&str; N],
) -> BTreeMap<[String; N], f64> {
    let (_, body) = http::get(address, "/metrics");
    let lines = body
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let mut sums = BTreeMap::new();
    for line in lines {
        let (labels, value) = sample(line).unwrap_or_else(|| panic!("{line}"));
        let label = |name: &str| match (name, labels.get(name).cloned().unwrap_or_default()) {
            ("le", bound) => bound.parse::<f64>().map_or(bound, |bound| bound.to_string()),
            (_, value) => value,
        };
        if only.is_none_or(|(name, value)| label(name) == value) {
            *sums.entry(by.map(label)).or_insert(0.0) += value;
        }
    }
    sums
}

/// Parses what follows the name and the brace.
fn sample(line: &str) -> Option<(Attributes, f64)> {
    let (labels, value) = line.rsplit_once("} ")?;
    let mut found = Attributes::new();
    let mut rest = labels;
    while let Some((name, more)) = rest.split_once("=\"") {
        let (value, more) = more.split_once('"')?;
        found.insert(name.to_owned(), value.to_owned());
        rest = more.strip_prefix(',').unwrap_or(more);
    }
    Some((found, value.split(' ').next()?.parse().ok()?))
}

/// Waits until the sums of [`scraped`] are the expected ones.
///
/// # Panics
///
/// If they are not in time.
pub fn wait_for<const N: usize>(
    address: SocketAddr,
    name: &str,
    only: Option<(&str, &str)>,
    by: [&str; N],
    expected: &BTreeMap<[String; N], f64>,
) {
    until_found(|| {
        let found = scraped(address, name, only, by);
        if found == *expected {
            Ok(())
        } else {
            Err(format!("{name} {only:?}: {found:#?} instead of {expected:#?}"))
        }
    });
}
