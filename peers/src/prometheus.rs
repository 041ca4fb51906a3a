//! A Prometheus 3, which scrapes a service and answers queries.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::poll::until_found;
use crate::tools::{installed, output_of};
use integration_tests::http;
use integration_tests::telemetry::Attributes;

/// The programs of Prometheus 3.16: the Go module has versions of its own.
const PROGRAMS: [&str; 2] = [
    "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0",
    "github.com/prometheus/prometheus/cmd/promtool@v0.316.0",
];
const NEEDS: &str = "Go 1.26 or newer, to build Prometheus, or `prometheus` and `promtool` on the path";

/// The paths of the programs.
#[derive(Debug)]
pub struct Programs {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Programs {
    /// Builds Prometheus from its Go module, and installs it in `directory`.
    ///
    /// If there is no Go, the programs on the path are used.
    #[must_use]
    pub fn install(directory: &str) -> Self {
        if Command::new("go").arg("version").output().is_err() {
            output_of(Command::new("prometheus").arg("--version"), NEEDS);
            output_of(Command::new("promtool").arg("--version"), NEEDS);
            return Programs {
                prometheus: "prometheus".into(),
                promtool: "promtool".into(),
            };
        }
        let programs = installed(directory, "prometheus", &PROGRAMS, build);
        Programs {
            prometheus: programs.join("prometheus"),
            promtool: programs.join("promtool"),
        }
    }

    /// Returns `promtool`, without arguments.
    #[must_use]
    pub fn promtool(&self) -> Command {
        Command::new(&self.promtool)
    }

    /// Returns the output of `promtool check metrics`, and whether it approves of the metrics.
    #[must_use]
    pub fn check_metrics(&self, metrics: &str) -> (String, bool) {
        let mut promtool = self
            .promtool()
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8(said).unwrap(), output.status.success())
    }
}

fn build(directory: &Path) {
    output_of(
        Command::new("go").arg("install").args(PROGRAMS).env("GOBIN", directory),
        NEEDS,
    );
}

/// A Prometheus that scrapes services twice a second, until the value is dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    /// The address of its interface.
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// Starts Prometheus for a service, and waits until it is ready.
    #[must_use]
    pub fn start(programs: &Programs, service: SocketAddr) -> Self {
        Prometheus::start_with(programs, &[service], &[])
    }

    /// Starts Prometheus for these services and with these flags, and waits until it is ready.
    #[must_use]
    pub fn start_with(programs: &Programs, services: &[SocketAddr], flags: &[&str]) -> Self {
        let targets: Vec<String> = services.iter().map(ToString::to_string).collect();
        let job = json!({"job_name": "service", "static_configs": [{"targets": targets}]});
        Prometheus::configured(programs, json!({"scrape_configs": [job]}), flags)
    }

    /// Starts Prometheus with this configuration and these flags, and waits until it is ready.
    ///
    /// Prometheus scrapes and evaluates rules twice a second.
    #[must_use]
    pub fn configured(programs: &Programs, mut configuration: Value, flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = data.path().join("prometheus.yml");
        configuration["global"] =
            json!({"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"});
        // JSON is YAML.
        fs::write(&settings, configuration.to_string()).unwrap();
        let mut process = Command::new(&programs.prometheus)
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::default();
        let address = listens(process.stderr.take().unwrap(), &log);
        Prometheus {
            process,
            address,
            log,
            _data: data,
        }
    }

    /// Returns the data of a successful request to the interface, such as `labels`.
    #[must_use]
    pub fn api(&self, path: &str) -> Value {
        let (head, answer) = http::get(self.address, &format!("/api/v1/{path}"));
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {head}\n{answer}"));
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    /// Returns the exemplars of the last hour: labels, value and time of each.
    #[must_use]
    pub fn exemplars(&self, query: &str) -> Vec<Value> {
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let found = self.api(&format!(
            "query_exemplars?query={query}&start={}&end={}",
            now - 3600,
            now + 60
        ));
        let series = found.as_array().unwrap().iter();
        series
            .flat_map(|series| series["exemplars"].as_array().unwrap().clone())
            .collect()
    }

    /// Returns the warnings and errors in the log that are about scrapes.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let is_complaint =
            |line: &&String| (line.contains("level=WARN") || line.contains("level=ERROR")) && line.contains("scrape");
        log.iter().filter(is_complaint).cloned().collect()
    }

    /// Returns the labels and the value of each result, at a Unix time in seconds or now.
    #[must_use]
    pub fn query(&self, query: &str, time: Option<f64>) -> Vec<(Attributes, f64)> {
        let query_encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let time = time.map(|time| format!("&time={time:.3}")).unwrap_or_default();
        let answer = self.api(&format!("query?query={query_encoded}{time}"));
        let found = answer["result"].as_array().unwrap();
        let value = |series: &Value| series["value"][1].as_str().unwrap().parse().unwrap();
        found.iter().map(|series| (labels(series), value(series))).collect()
    }

    /// Returns the value of a query that has one result.
    #[must_use]
    pub fn value(&self, query: &str, time: Option<f64>) -> f64 {
        let found = self.query(query, time);
        let [(_, value)] = found[..] else {
            panic!("{query} returns {found:?}")
        };
        value
    }

    /// Repeats a query until its results meet the condition, and returns them.
    pub fn wait_for(&self, query: &str, condition: impl Fn(&[(Attributes, f64)]) -> bool) -> Vec<(Attributes, f64)> {
        until_found(|| {
            let found = self.query(query, None);
            if condition(&found) {
                Ok(found)
            } else {
                Err(format!("{query} returns {found:?}"))
            }
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The data is not read again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the address in the log, once Prometheus is ready to answer queries there. Later lines
/// are added to `later`.
fn listens(log: ChildStderr, later: &Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let mut log = BufReader::new(log).lines().map(Result::unwrap);
    let mut said = Vec::new();
    // Both lines come in either order.
    let (mut address, mut is_ready) = (None, false);
    for line in &mut log {
        if line.contains("msg=\"Listening on\"")
            && let Some((_, found)) = line.split_once(" address=")
        {
            address = Some(found.trim().parse().unwrap());
        }
        is_ready |= line.contains("Server is ready to receive web requests");
        if let (Some(address), true) = (address, is_ready) {
            // The pipe has to be drained, or Prometheus would block.
            let later = Arc::clone(later);
            thread::spawn(move || {
                log.for_each(|line| later.lock().unwrap_or_else(PoisonError::into_inner).push(line));
            });
            return address;
        }
        said.push(line);
    }
    panic!("it does not listen: {said:#?}")
}

fn labels(series: &Value) -> Attributes {
    let labels = series["metric"].as_object().unwrap().iter();
    labels
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect()
}
