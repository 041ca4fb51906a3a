//! A real Prometheus, Debian's, which scrapes a service and answers queries.

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
use tests::http;
use tests::server::PATIENCE;
use tests::telemetry::Attributes;

/// Debian 12's, whatever its rebuilds.
const PACKAGE: &str = "prometheus=2.42.0*";
const NEEDS: &str = "Debian's apt-get and dpkg-deb, with a package archive that has Prometheus 2.42, or `prometheus` and `promtool` on the path";

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    prometheus: PathBuf,
    promtool: PathBuf,
}

impl Programs {
    /// Those of Debian's package, unpacked in `directory`, for which nobody needs to be root. Where there is no apt-get, those on the path.
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

    /// `promtool`, to be told what to do.
    #[must_use]
    pub fn promtool(&self) -> Command {
        Command::new(&self.promtool)
    }

    /// What `promtool check metrics` says of metrics, and whether it approves.
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
        // This machine has no lists of packages, or old ones.
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

/// With lists of packages of its own, or the machine's.
fn apt_get(lists: Option<&Path>) -> Command {
    let mut apt = Command::new("apt-get");
    if let Some(lists) = lists {
        apt.arg(format!("--option=Dir::State::lists={}/lists", lists.display()))
            .arg(format!("--option=Dir::Cache={}/cache", lists.display()));
    }
    apt
}

/// A Prometheus that scrapes one service, twice a second, until it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Child,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it.
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

    /// What a query returns, at a time in seconds or now: the labels and the value of each.
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

    /// The one value that a query returns.
    #[must_use]
    pub fn value(&self, query: &str, time: Option<f64>) -> f64 {
        let found = self.query(query, time);
        let [(_, value)] = found[..] else {
            panic!("{query} returns {found:?}")
        };
        value
    }

    /// What a query returns, once that is so.
    pub fn wait_for(&self, query: &str, condition: impl Fn(&[(Attributes, f64)]) -> bool) -> Vec<(Attributes, f64)> {
        let begun = Instant::now();
        loop {
            let found = self.query(query, None);
            if condition(&found) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{query} returns {found:?}");
            // It tells nobody that it has scraped.
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // What it has not written is nobody's to read.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address that it has got, as it says in its log, once it answers queries there.
fn listens(log: ChildStderr) -> SocketAddr {
    let mut log = BufReader::new(log).lines().map(Result::unwrap);
    let mut said = Vec::new();
    // It says the two in either order.
    let (mut address, mut is_ready) = (None, false);
    for line in &mut log {
        if let Some((_, found)) = line.split_once("msg=\"Listening on\" address=") {
            address = Some(found.trim().parse().unwrap());
        }
        is_ready |= line.contains("Server is ready to receive web requests");
        if let (Some(address), true) = (address, is_ready) {
            // It goes on, and must not be kept waiting.
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
