//! The exporter `prometheus`: an HTTP endpoint that Prometheus scrapes.
//!
//! [`names`], [`labels`] and [`families`] follow the specification's rules of compatibility,
//! [`text`] writes the formats, and [`endpoint`] and [`connections`] are the HTTP server: hyper,
//! which tonic depends on as well. docs/decisions.md says which crates were considered.

mod connections;
mod endpoint;
mod exemplars;
mod exponential;
mod families;
mod kind;
mod labels;
mod names;
mod negotiation;
mod numbers;
mod respond;
mod scraper;
mod series;
#[cfg(test)]
mod tests;
mod text;

use std::net::SocketAddr;
use std::sync::Arc;

use opentelemetry_sdk::metrics::MeterProviderBuilder;

pub(crate) use endpoint::Endpoint;
pub use names::TranslationStrategy;

use crate::env::Env;
use crate::error::InitError;
use crate::prometheus::scraper::{Reader, Scraper};

/// The settings of the exporter, and its endpoint once it listens.
#[derive(Debug, Default)]
pub(crate) struct Prometheus {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) translation_strategy: TranslationStrategy,
    pub(crate) endpoint: Option<Endpoint>,
}

impl Prometheus {
    /// Adds the reader, and starts the endpoint. An unavailable address is an error of the setup.
    pub(crate) fn metrics(
        &mut self,
        provider: MeterProviderBuilder,
        env: &Env,
    ) -> Result<MeterProviderBuilder, InitError> {
        exemplars::enable(env);
        let reader = Reader::default();
        let scraper = Scraper::new(reader.clone(), self.translation_strategy);
        let (listener, chooses_port) = endpoint::listener(self.address, env)?;
        self.endpoint = Some(Endpoint::serve(Arc::new(scraper), listener, chooses_port)?);
        Ok(provider.with_reader(reader))
    }
}
