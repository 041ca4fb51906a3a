//! zPages: what runs now, and how RPCs ended, in a browser.
//!
//! [`processors`] feed the [`registry`], whose memory [`budget`] divides, and [`rpcz`] collects the
//! durations of RPCs. [`pages`] draws both, and [`site`] answers requests.

mod budget;
mod contents;
mod host;
mod html;
mod log_line;
mod outcome;
mod pages;
mod processors;
mod query;
mod registry;
mod row;
mod rows;
mod rpcz;
mod running;
mod sample;
mod settings;
mod site;
mod size;
mod start;
mod table;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::logs::LoggerProviderBuilder;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor, TracerProviderBuilder};
use otel_runtime::observer;

use crate::batch::BatchProcessors;
use crate::env::Env;
use crate::error::InitError;
use crate::http_server::{Address, Endpoint, bind};
use crate::metric_reader::Reader;
use crate::zpages::processors::{ObservedLogs, ObservedSpans};
use crate::zpages::registry::Registry;
use crate::zpages::rpcz::{Rpcz, TICK};
use crate::zpages::settings::{Options, Place};
use crate::zpages::site::Pages;

/// The pages of a setup, from its options to its server.
#[derive(Debug, Default)]
pub(crate) struct Zpages {
    pub(crate) options: Options,
    /// `None` if neither the program nor the environment asks for the pages.
    wanted: Option<Wanted>,
    /// Whether a span processor feeds the pages.
    has_spans: bool,
    reader: Option<Arc<dyn MetricReader>>,
}

/// Pages that are served.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) endpoint: Endpoint,
    registry: &'static Registry,
}

impl Served {
    /// Shows all calls from now on. That cannot be taken back.
    pub(crate) fn observe_calls(&self) {
        observer::set(self.registry);
    }
}

/// Pages that are asked for.
#[derive(Debug)]
struct Wanted {
    place: Place,
    registry: &'static Registry,
}

/// The part of a span processor that feeds the pages.
pub(crate) struct Spans(&'static Registry);

impl Spans {
    /// Returns a processor that passes the spans on to `next`.
    pub(crate) fn before<P: SpanProcessor>(self, next: P) -> ObservedSpans<P> {
        ObservedSpans::new(self.0, Some(next))
    }
}

impl Zpages {
    /// Reads the settings.
    pub(crate) fn resolve(&mut self, env: &Env) -> Result<(), InitError> {
        self.wanted = Place::resolve(&self.options, env)?.map(|place| Wanted {
            place,
            registry: Registry::leak(settings::memory_limit(&self.options, env)),
        });
        Ok(())
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    /// Returns the feed of spans, once.
    pub(crate) fn take_spans(&mut self) -> Option<Spans> {
        let wanted = self.wanted.as_ref().filter(|_| !self.has_spans)?;
        self.has_spans = true;
        Some(Spans(wanted.registry))
    }

    /// Adds a processor for the pages alone, if no other one feeds them.
    pub(crate) fn add_spans(&mut self, provider: TracerProviderBuilder) -> TracerProviderBuilder {
        match self.take_spans() {
            Some(spans) => provider.with_span_processor(ObservedSpans::<BatchProcessors<SpanData>>::new(spans.0, None)),
            None => provider,
        }
    }

    pub(crate) fn add_logs(&self, provider: LoggerProviderBuilder) -> LoggerProviderBuilder {
        match &self.wanted {
            Some(wanted) => provider.with_log_processor(ObservedLogs(wanted.registry)),
            None => provider,
        }
    }

    /// Takes the reader of an exporter. Without one, adds a reader.
    ///
    /// The SDK aggregates every measurement once for each reader, so a reader of its own would
    /// double the cost of the metrics.
    pub(crate) fn add_reader(
        &mut self,
        provider: MeterProviderBuilder,
        shared: Option<Arc<dyn MetricReader>>,
    ) -> MeterProviderBuilder {
        if self.wanted.is_none() {
            return provider;
        }
        if shared.is_some() {
            self.reader = shared;
            return provider;
        }
        let reader = Reader::default();
        self.reader = Some(Arc::new(reader.clone()));
        provider.with_reader(reader)
    }

    /// Serves the pages, by the scrape endpoint if that has the same address.
    pub(crate) fn serve(&mut self, scrapes: Option<&Endpoint>, env: &Env) -> Result<Option<Served>, InitError> {
        let (Some(Wanted { place, registry }), Some(reader)) = (self.wanted.take(), self.reader.take()) else {
            return Ok(None);
        };
        let endpoint = match scrapes.filter(|scrapes| place.is(scrapes.address)) {
            Some(scrapes) => scrapes.clone(),
            None => listen(&place)?,
        };
        warn_if_reachable(endpoint.address.ip(), &place, env);
        let rpcz = Arc::new(Rpcz::new(reader, registry.budget.windows));
        endpoint.add(Arc::new(Pages {
            registry,
            rpcz: Arc::clone(&rpcz),
            hosts: std::mem::take(&mut self.options.allowed_hosts),
        }));
        endpoint.spawn(async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            for second in 0_u64.. {
                seconds.tick().await;
                registry.tick();
                if second > 0 && second.is_multiple_of(TICK.as_secs()) {
                    rpcz.tick();
                }
            }
        });
        Ok(Some(Served { endpoint, registry }))
    }
}

/// Warns of an address that other hosts may reach.
fn warn_if_reachable(ip: IpAddr, place: &Place, env: &Env) {
    if !ip.to_canonical().is_loopback() {
        env.warn_unset(
            &place.setting,
            "is not a loopback address: everyone who reaches it can read attributes of spans and log lines",
        );
    }
}

/// Says what a configuration file's settings would do.
#[cfg(feature = "config-file")]
pub(crate) fn check(env: &Env) -> Result<String, InitError> {
    let place = Place::resolve(&Options::default(), env)?;
    let limit = settings::memory_limit(&Options::default(), env);
    // A name is not looked up here.
    if let Some(place) = &place
        && let Ok(ip) = place.host.parse()
    {
        warn_if_reachable(ip, place, env);
    }
    Ok(match place {
        Some(Place { host, port, .. }) => format!("zPages: {host} port {port}, in {limit} bytes"),
        None => "zPages: none, since `address` is missing".to_owned(),
    })
}

fn listen(place: &Place) -> Result<Endpoint, InitError> {
    let is_variable = place.setting.starts_with(settings::ADDRESS_VARIABLE);
    let (listener, chose_port) = bind(&Address {
        host: &place.host,
        port: place.port,
        setting: place.setting.clone(),
        purpose: "the zPages",
        port_setting: if is_variable { settings::ADDRESS_VARIABLE } else { "" },
    })?;
    Endpoint::serve(listener, chose_port).map_err(|error| InitError::new("cannot serve the zPages").with_source(error))
}
