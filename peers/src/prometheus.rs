//! Debian's Prometheus, which scrapes a service and answers queries.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::tools::{installed, output_of};
use integration_tests::http;
use integration_tests::server::TIMEOUT;
use integration_tests::telemetry::Attributes;

/// The version of Debian 12, with any revision.
const PACKAGE: &str = "prometheus=2.42.0*";
const NEEDS: &str = "Debian's apt-get and dpkg-deb, with a package archive that has Prometheus 2.42, or `prometheus` and `promtool` on the path";

/// The paths of the programs.
#[derive(Debug)]
pub struct Programs {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Programs {
    /// Downloads Debian's package, and unpacks it in `directory`, without being root.
    ///
    /// If there is no apt-get, the programs on the path are used.
    #[must_use]
    pub fn install(directory: &str) -> Self {
        if Command::new("apt-get").arg("--version").output().is_err() {
            output_of(Command::new("prometheus").arg("--version"), NEEDS);
            output_of(Command::new("promtool").arg("--version"), NEEDS);
            return Programs {
                prometheus: "prometheus".into(),
                promtool: "promtool".into(),
            };
        }
        let package = installed(directory, "prometheus", &[PACKAGE], unpack);
        Programs {
            prometheus: package.join("usr/bin/prometheus"),
            promtool: package.join("usr/bin/promtool"),
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

fn unpack(directory: &Path) {
    let download = |lists: Option<&Path>| {
        let mut apt = apt_get(lists);
        apt.args(["download", PACKAGE]).current_dir(directory);
        apt
    };
    if !download(None).output().is_ok_and(|output| output.status.success()) {
        // The lists of packages are missing or outdated.
        let lists = directory.join("apt");
        fs::create_dir_all(lists.join("lists/partial")).unwrap();
        output_of(apt_get(Some(&lists)).arg("update"), NEEDS);
        output_of(&mut download(Some(&lists)), NEEDS);
        fs::remove_dir_all(lists).unwrap();
    }
    let files = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let package = files
        .into_iter()
        .find(|file| file.extension().is_some_and(|it| it == "deb"));
    let package = package.expect("apt-get has downloaded it");
    output_of(Command::new("dpkg-deb").arg("-x").args([&package, directory]), NEEDS);
    fs::remove_file(package).unwrap();
}

/// Returns apt-get with these lists of packages, or with the system's.
fn apt_get(lists: Option<&Path>) -> Command {
    let mut apt = Command::new("apt-get");
    if let Some(lists) = lists {
        apt.arg(format!("--option=Dir::State::lists={}/lists", lists.display()))
            .arg(format!("--option=Dir::Cache={}/cache", lists.display()));
    }
    apt
}

/// A Prometheus that scrapes one service twice a second, until the value is dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// Starts Prometheus for a service, and waits until it is ready.
    #[must_use]
    pub fn start(programs: &Programs, service: SocketAddr) -> Self {
        let data = tempfile::tempdir().unwrap();
        let settings = data.path().join("prometheus.yml");
        let scrapes = "{scrape_interval: 500ms, scrape_timeout: 500ms}";
        let jobs = format!("[{{job_name: service, static_configs: [{{targets: ['{service}']}}]}}]");
        fs::write(&settings, format!("global: {scrapes}\nscrape_configs: {jobs}\n")).unwrap();
        let mut process = Command::new(&programs.prometheus)
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let address = listens(process.stderr.take().unwrap());
        Prometheus {
            process,
            address,
            _data: data,
        }
    }

    /// Returns the labels and the value of each result, at a Unix time in seconds or now.
    #[must_use]
    pub fn query(&self, query: &str, time: Option<f64>) -> Vec<(Attributes, f64)> {
        let query_encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let time = time.map(|time| format!("&time={time:.3}")).unwrap_or_default();
        let (head, answer) = http::get(self.address, &format!("/api/v1/query?query={query_encoded}{time}"));
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {head}\n{answer}"));
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let found = answer["data"]["result"].as_array().unwrap();
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
        let begun = Instant::now();
        loop {
            let found = self.query(query, None);
            if condition(&found) {
                return found;
            }
            assert!(begun.elapsed() < TIMEOUT, "{query} returns {found:?}");
            // Prometheus does not notify anyone of a scrape.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // The data is not read again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the address in the log, once Prometheus is ready to answer queries there.
fn listens(log: ChildStderr) -> SocketAddr {
    let mut log = BufReader::new(log).lines().map(Result::unwrap);
    let mut said = Vec::new();
    // Both lines come in either order.
    let (mut address, mut is_ready) = (None, false);
    for line in &mut log {
        if let Some((_, found)) = line.split_once("msg=\"Listening on\" address=") {
            address = Some(found.trim().parse().unwrap());
        }
        is_ready |= line.contains("Server is ready to receive web requests");
        if let (Some(address), true) = (address, is_ready) {
            // The pipe has to be drained, or Prometheus would block.
            thread::spawn(move || log.for_each(drop));
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
