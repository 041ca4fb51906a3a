//! A Jaeger that keeps traces in memory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::free_address::free_address;
use integration_tests::http;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::FOLDER;
use crate::daemon::{Daemon, configured};
use crate::poll::until_found;
use crate::tools::go_program;

/// Builds Jaeger from its Go module, and returns its path.
///
/// The module has the versions of Jaeger 1: `v1.76.0` is that of Jaeger 2.13.
#[must_use]
pub fn install(directory: &str) -> PathBuf {
    let package = "github.com/jaegertracing/jaeger/cmd/jaeger";
    let sources = format!("{FOLDER}/jaeger");
    go_program(directory, "jaeger", &sources, &["go.mod", "go.sum"], package)
}

/// A running Jaeger.
#[derive(Debug)]
pub struct Jaeger {
    query: SocketAddr,
    /// The endpoint of OTLP over gRPC.
    pub endpoint: String,
    _folder: tempfile::TempDir,
    _daemon: Daemon,
}

impl Jaeger {
    /// Starts Jaeger.
    #[must_use]
    pub fn start(program: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (query, otlp) = (free_address(), free_address());
        let values = [("QUERY_GRPC", free_address()), ("QUERY", query), ("GRPC", otlp)];
        let values = values.map(|(name, address)| (name, address.to_string()));
        let config = configured(&format!("{FOLDER}/jaeger.yaml"), folder.path(), &values);
        let mut command = Command::new(program);
        command.arg("--config").arg(config).env_clear();
        Jaeger {
            query,
            endpoint: format!("http://{otlp}"),
            _daemon: Daemon::start(command, folder.path(), query),
            _folder: folder,
        }
    }

    /// Returns the `data` of an answer of its interface.
    #[must_use]
    pub fn api(&self, path: &str) -> Value {
        let (head, body) = http::get(self.query, &format!("/api/{path}"));
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {head}\n{body}"));
        assert_eq!(answer["errors"], Value::Null, "{path}");
        answer["data"].clone()
    }

    /// Returns the traces of a search, with parameters as in the address of its page.
    #[must_use]
    pub fn search(&self, parameters: &[(&str, &str)]) -> Vec<Value> {
        let mut query = "traces?limit=1000&lookback=1h".to_owned();
        for (name, value) in parameters {
            query.extend(["&", name, "="]);
            query.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        self.api(&query).as_array().cloned().unwrap_or_default()
    }

    /// Waits until a search finds this number of traces.
    pub fn wait_for(&self, parameters: &[(&str, &str)], count: usize) {
        until_found(|| match self.search(parameters).len() {
            found if found == count => Ok(()),
            found => Err(format!("{found} traces instead of {count}")),
        });
    }
}
