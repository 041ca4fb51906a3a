//! The exporter `prometheus`: an HTTP endpoint that Prometheus scrapes.
//!
//! [`names`], [`labels`] and [`families`] follow the specification's rules of compatibility,
//! and [`text`] writes the formats. docs/decisions.md says which crates were considered.

mod buckets;
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

pub use names::TranslationStrategy;

use crate::env::Env;
use crate::error::InitError;
use crate::http_server::Endpoint;
use crate::metric_reader::Reader;
use crate::prometheus::scraper::Scraper;

/// The settings of the exporter, and its endpoint once it listens.
#[derive(Debug, Default)]
pub(crate) struct Prometheus {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) translation_strategy: TranslationStrategy,
    pub(crate) endpoint: Option<Endpoint>,
    /// The reader, which the zPages share.
    #[cfg(feature = "zpages")]
    pub(crate) reader: Option<Arc<dyn opentelemetry_sdk::metrics::reader::MetricReader>>,
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
        let endpoint = Endpoint::serve(listener, chooses_port)
            .map_err(|error| InitError::new("cannot serve metrics for Prometheus").with_source(error))?;
        endpoint.add(Arc::new(scraper));
        self.endpoint = Some(endpoint);
        #[cfg(feature = "zpages")]
        {
            self.reader = Some(Arc::new(reader.clone()));
        }
        Ok(provider.with_reader(reader))
    }
}
