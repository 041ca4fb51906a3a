//! Legacy attributes and metrics, recorded in addition to the stable ones while dashboards migrate.
//!
//! If `OTEL_SEMCONV_STABILITY_OPT_IN` contains `rpc/dup`, spans and metrics also carry the names of
//! the semantic conventions up to v1.37.

use std::sync::OnceLock;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use crate::grpc::outcome::Outcome;
use crate::grpc::side::{Direction, Side};
use crate::guard;
use crate::semconv::{self, legacy};

/// The list of a configuration file.
static CONFIGURED: OnceLock<String> = OnceLock::new();

/// Replaces the variable `OTEL_SEMCONV_STABILITY_OPT_IN` by the list of a configuration file. Call
/// it before the first RPC.
pub fn set_stability_opt_in(list: String) {
    // The first list counts: telemetry is set up once.
    let _ = CONFIGURED.set(list);
}

/// The instruments of the legacy metrics.
pub(crate) struct Legacy {
    server: Instruments,
    client: Instruments,
}

struct Instruments {
    duration: Histogram<f64>,
    request_size: Histogram<u64>,
    response_size: Histogram<u64>,
}

impl Legacy {
    /// Creates the instruments if `OTEL_SEMCONV_STABILITY_OPT_IN` opts in.
    pub(crate) fn from_env(meter: &Meter) -> Option<Self> {
        let variable = || std::env::var("OTEL_SEMCONV_STABILITY_OPT_IN").ok();
        let opt_in = CONFIGURED.get().cloned().or_else(variable)?;
        opts_in(&opt_in).then(|| Legacy {
            server: Instruments::new(meter, &legacy::SERVER),
            client: Instruments::new(meter, &legacy::CLIENT),
        })
    }

    /// Records the duration of one RPC, in seconds.
    pub(crate) fn record_duration(&self, side: Side, method: &'static str, seconds: f64, outcome: Outcome<'_>) {
        let mut attributes = metric_attributes(method);
        attributes.push(status_code(outcome));
        let instruments = self.instruments(side);
        instruments.duration.record(seconds * 1000.0, &attributes);
    }

    /// Records the size of one message, in bytes.
    pub(crate) fn record_size(&self, side: Side, method: &'static str, direction: Direction, bytes: u64) {
        let instruments = self.instruments(side);
        let histogram = match (side, direction) {
            (Side::Server, Direction::Received) | (Side::Client, Direction::Sent) => &instruments.request_size,
            (Side::Server, Direction::Sent) | (Side::Client, Direction::Received) => &instruments.response_size,
        };
        guard::METER.run(|| histogram.record(bytes, &metric_attributes(method)));
    }

    fn instruments(&self, side: Side) -> &Instruments {
        match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }
}

impl Instruments {
    fn new(meter: &Meter, names: &legacy::Instruments) -> Self {
        let histogram = |instrument: &semconv::Instrument| {
            meter
                .u64_histogram(instrument.name)
                .with_unit(instrument.unit)
                .with_description(instrument.description)
                .build()
        };
        Instruments {
            duration: meter
                .f64_histogram(names.duration.name)
                .with_unit(names.duration.unit)
                .with_description(names.duration.description)
                .build(),
            request_size: histogram(&names.request_size),
            response_size: histogram(&names.response_size),
        }
    }
}

/// Returns the legacy attributes to start a span with. `rpc.method` keeps its stable value.
pub(crate) fn span_attributes(method: &'static str) -> Vec<KeyValue> {
    let (service, _) = service_and_method(method);
    let mut attributes = vec![KeyValue::new(legacy::RPC_SYSTEM, semconv::GRPC)];
    attributes.extend(service.map(|service| KeyValue::new(legacy::RPC_SERVICE, service)));
    attributes
}

/// Returns the legacy status code, an attribute of ended spans and of data points.
pub(crate) fn status_code(outcome: Outcome<'_>) -> KeyValue {
    KeyValue::new(legacy::RPC_GRPC_STATUS_CODE, outcome.code() as i64)
}

fn metric_attributes(method: &'static str) -> Vec<KeyValue> {
    let (service, name) = service_and_method(method);
    let mut attributes = vec![
        KeyValue::new(semconv::RPC_METHOD, name),
        KeyValue::new(legacy::RPC_SYSTEM, semconv::GRPC),
    ];
    attributes.extend(service.map(|service| KeyValue::new(legacy::RPC_SERVICE, service)));
    attributes
}

/// Splits `pkg.Service/Method` into service and method, which were separate attributes.
fn service_and_method(method: &'static str) -> (Option<&'static str>, &'static str) {
    match method.rsplit_once('/') {
        Some((service, name)) => (Some(service), name),
        None => (None, method),
    }
}

fn opts_in(opt_in: &str) -> bool {
    opt_in.split(',').any(|category| category.trim() == "rpc/dup")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opts_in_if_the_list_contains_rpc_dup() {
        for opt_in in ["rpc/dup", "http, rpc/dup", " rpc/dup ,database", "rpc,rpc/dup"] {
            assert!(opts_in(opt_in), "{opt_in:?}");
        }
        for opt_in in ["", "rpc", "http/dup", "rpc/duplicate", "rpc /dup"] {
            assert!(!opts_in(opt_in), "{opt_in:?}");
        }
    }
}
