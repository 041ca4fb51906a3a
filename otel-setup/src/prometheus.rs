//! The exporter `prometheus`: an HTTP endpoint that Prometheus scrapes.
//!
//! [`opentelemetry-prometheus`](https://docs.rs/opentelemetry-prometheus) defines the metric names
//! and the text format. The server is `axum`, which tonic depends on as well.

use std::future::IntoFuture;
use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use prometheus::{Registry, TextEncoder};

use crate::env::Env;
use crate::error::InitError;
use crate::export_runtime::ExportRuntime;

const HOST_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT_VARIABLE: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// The settings of the exporter, and its endpoint once it listens.
#[derive(Debug, Default)]
pub(crate) struct Prometheus {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) endpoint: Option<Endpoint>,
}

/// A scrape endpoint that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    _server: ExportRuntime,
}

impl Prometheus {
    /// Adds the reader, and starts the endpoint. An unavailable address is an error of the setup.
    pub(crate) fn metrics(
        &mut self,
        provider: MeterProviderBuilder,
        env: &Env,
    ) -> Result<MeterProviderBuilder, InitError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone());
        let reader = reader
            .build()
            .map_err(|error| InitError::new("cannot build the Prometheus exporter").with_source(error))?;
        self.endpoint = Some(Endpoint::serve(registry, listener(self.address, env)?)?);
        Ok(provider.with_reader(reader))
    }
}

impl Endpoint {
    /// Starts the server on a separate thread, so that scrapes do not wait for exports.
    fn serve(registry: Registry, listener: TcpListener) -> Result<Self, InitError> {
        let started = || -> io::Result<Self> {
            let address = listener.local_addr()?;
            let server = ExportRuntime::start()?;
            let metrics = get(move || async move { text(&registry) });
            let app = Router::new().route("/metrics", metrics);
            server.enter(|| -> io::Result<()> {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::spawn(axum::serve(listener, app).into_future());
                Ok(())
            })?;
            Ok(Endpoint {
                address,
                _server: server,
            })
        };
        started().map_err(|error| InitError::new("cannot serve metrics for Prometheus").with_source(error))
    }
}

/// Binds the address of the program, or that of the environment.
fn listener(explicit: Option<SocketAddr>, env: &Env) -> Result<TcpListener, InitError> {
    let (listener, address) = if let Some(explicit) = explicit {
        (TcpListener::bind(explicit), explicit.to_string())
    } else {
        let host = env.text(HOST_VARIABLE);
        let host = host.as_deref().unwrap_or("localhost");
        let port = env.number(PORT_VARIABLE, 9464).unwrap_or(9464);
        let address = format!("{HOST_VARIABLE}={host:?}, {PORT_VARIABLE}=\"{port}\"");
        (TcpListener::bind((host, port)), address)
    };
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        InitError::new(format!("cannot listen for Prometheus at {address}: {error}")).with_source(error)
    })
}

fn text(registry: &Registry) -> impl IntoResponse + use<> {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
