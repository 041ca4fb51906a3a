//! A rotel, which passes what it receives on to a receiver of the tests, or counts it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::collector::{self, Received};
use integration_tests::free_address::free_address;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;

use super::FOLDER;
use super::outage::{Arrived, COUNTER, Receiver};
use crate::daemon::Daemon;
use crate::poll::until_found;
use crate::tools::wheels;

/// Installs rotel from a Python package, and returns the path of its program.
#[must_use]
pub fn install(directory: &str) -> PathBuf {
    let packages = wheels(directory, "rotel", &format!("{FOLDER}/rotel.txt"));
    packages.join("rotel/rotel-agent")
}

/// A rotel, which can be killed and started again.
#[derive(Debug)]
pub struct Rotel {
    program: PathBuf,
    /// The addresses of OTLP over gRPC and HTTP.
    addresses: [SocketAddr; 2],
    /// The maximum size of a message over gRPC in MiB. That of HTTP is always 20 MiB.
    limit: u32,
    /// The receiver that it passes telemetry on to. Without one, it only counts.
    pub target: Option<collector::Collector>,
    folder: tempfile::TempDir,
    daemon: Option<Daemon>,
}

impl Rotel {
    /// Starts a rotel that only counts what it receives.
    #[must_use]
    pub fn start_to_count(program: &Path, limit: u32) -> Self {
        let mut rotel = Self::stopped(program, limit, None);
        rotel.restart();
        rotel
    }

    fn stopped(program: &Path, limit: u32, target: Option<collector::Collector>) -> Self {
        Rotel {
            program: program.to_owned(),
            addresses: [free_address(), free_address()],
            limit,
            target,
            folder: tempfile::tempdir().unwrap(),
            daemon: None,
        }
    }

    /// Waits until it has accepted this number of spans, and returns how many each request had.
    #[must_use]
    pub fn accepted(&self, count: u64) -> Vec<u64> {
        until_found(|| {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
            // The last line may not be whole yet.
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            let accepted: Vec<u64> = lines.filter_map(|line| line["spans"].as_u64()).collect();
            if accepted.iter().sum::<u64>() >= count {
                return Ok(accepted);
            }
            Err(format!("{accepted:?} of {count}\n{log}"))
        })
    }
}

impl Receiver for Rotel {
    fn start(program: &Path) -> Self {
        let mut rotel = Self::stopped(program, 4, Some(collector::Collector::start()));
        rotel.restart();
        rotel
    }

    fn restart(&mut self) {
        self.kill();
        let [grpc, http] = self.addresses;
        let mut command = Command::new(&self.program);
        command.env_clear().args(["start", "--log-format", "json"]);
        // After a freeze, a short timeout would send a request again that was answered meanwhile.
        command.args(["--otlp-exporter-request-timeout", "60s"]);
        let options = [
            ("--debug-log", "traces".to_owned()),
            ("--otlp-grpc-endpoint", grpc.to_string()),
            ("--otlp-http-endpoint", http.to_string()),
            ("--otlp-grpc-max-recv-msg-size-mib", self.limit.to_string()),
            match &self.target {
                Some(target) => ("--otlp-exporter-endpoint", target.url()),
                None => ("--exporter", "blackhole".to_owned()),
            },
        ];
        command.args(options.iter().flat_map(|(name, value)| [*name, value]));
        self.daemon = Some(Daemon::start(command, self.folder.path(), http));
    }

    fn endpoint(&self, protocol: &str) -> String {
        let [grpc, http] = self.addresses;
        format!("http://{}", if protocol == "grpc" { grpc } else { http })
    }

    fn wait_until(&self, is_met: impl Fn(&Arrived) -> bool) -> Arrived {
        let target = self.target.as_ref().expect("it passes telemetry on");
        arrived(&target.wait_until(|received| is_met(&arrived(received))))
    }

    fn daemon(&mut self) -> &mut Option<Daemon> {
        &mut self.daemon
    }
}

fn arrived(received: &[Received]) -> Arrived {
    let mut found = Arrived::default();
    for message in received {
        for span in message.spans() {
            Arrived::add(&mut found.spans, format!("{:?}", span.span_id));
        }
        for record in message.log_records() {
            let Some(Value::StringValue(text)) = record.body.and_then(|body| body.value) else {
                panic!("a log record has no text")
            };
            Arrived::add(&mut found.logs, text);
        }
        for metric in message.metrics().into_iter().filter(|metric| metric.name == COUNTER) {
            let Some(Data::Sum(sum)) = metric.data else {
                panic!("a counter is no sum")
            };
            let Some(Number::AsInt(value)) = sum.data_points[0].value else {
                panic!("a counter is no integer")
            };
            found.made = found.made.max(usize::try_from(value).unwrap());
        }
    }
    found
}
