//! `instrumentation/development.rust.otel_runtime`: the options of `ServerLayer` and `ClientLayer`.

use std::time::Duration;

use otel_runtime::filter::{self, Filter};
use otel_runtime::{ClientLayer, GRPC_DURATION_BOUNDARIES, LoggedCalls, ServerLayer};

use super::node::Value;
use super::section::{Item, Section};
use crate::error::InitError;

/// The defaults of the layers that the program creates.
#[derive(Debug)]
pub(crate) struct Layers {
    server: ServerLayer,
    client: ClientLayer,
    duration_boundaries: Option<Vec<f64>>,
    /// The lines of [`check`](super::check) about them.
    pub(super) lines: Vec<String>,
}

impl Layers {
    pub(crate) fn set_defaults(&self) {
        self.server.clone().set_default();
        self.client.clone().set_default();
        if let Some(boundaries) = &self.duration_boundaries {
            otel_runtime::set_duration_boundaries(boundaries.clone());
        }
    }
}

pub(super) fn read(item: &Item<'_>) -> Result<Layers, InitError> {
    let mut section = item.section()?;
    let mut layers = Layers {
        server: ServerLayer::new(),
        client: ClientLayer::new(""),
        duration_boundaries: None,
        lines: Vec::new(),
    };
    if let Some(item) = section.get("duration_boundaries") {
        let boundaries = boundaries(&item)?;
        layers.lines.push(format!("duration boundaries: {boundaries:?} s"));
        layers.duration_boundaries = Some(boundaries);
    }
    if let Some(item) = section.get("server") {
        let (server, line) = server(&item)?;
        layers.server = server;
        layers.lines.push(line);
    }
    if let Some(item) = section.get("client") {
        let (client, line) = client(&item)?;
        layers.client = client;
        layers.lines.push(line);
    }
    section.finish()?;
    Ok(layers)
}

/// Adds the options that both layers have, and returns the line about all of them. A macro, since
/// the layers share no trait.
macro_rules! finish {
    ($Layer:ident, $layer:ident, $options:ident, $section:ident, $side:literal) => {{
        if $options.flag(&mut $section, "message_sizes")? {
            $layer = $layer.message_sizes();
        }
        if $options.flag(&mut $section, "message_counts")? {
            $layer = $layer.message_counts();
        }
        $section.finish()?;
        let line = $options.line($side);
        $layer = $layer
            .request_headers($options.request_headers)
            .response_headers($options.response_headers)
            .response_trailers($options.response_trailers);
        if !$options.failures.is_empty() {
            $layer = $layer.failures_by_code($options.failures);
        }
        $layer = $options.logged.into_iter().fold($layer, $Layer::log_calls);
        $layer = $options.filters.into_iter().fold($layer, $Layer::filter);
        line
    }};
}

fn server(item: &Item<'_>) -> Result<(ServerLayer, String), InitError> {
    let mut section = item.section()?;
    let mut options = Options::read(&mut section)?;
    let mut layer = ServerLayer::new();
    if options.flag(&mut section, "public_endpoint")? {
        layer = layer.public_endpoint();
    }
    let line = finish!(ServerLayer, layer, options, section, "server");
    Ok((layer, line))
}

fn client(item: &Item<'_>) -> Result<(ClientLayer, String), InitError> {
    let mut section = item.section()?;
    let mut options = Options::read(&mut section)?;
    let mut layer = ClientLayer::new("");
    let line = finish!(ClientLayer, layer, options, section, "client");
    Ok((layer, line))
}

/// Options that both layers have.
struct Options {
    request_headers: Vec<String>,
    response_headers: Vec<String>,
    response_trailers: Vec<String>,
    filters: Vec<Filter>,
    /// Status codes, and whether they are failures.
    failures: Vec<(&'static str, bool)>,
    logged: Vec<LoggedCalls>,
    /// The options that are set, for people.
    words: Vec<String>,
}

impl Options {
    fn read(section: &mut Section<'_>) -> Result<Self, InitError> {
        let mut words = Vec::new();
        let mut headers = |name| {
            let names = section.get(name).map(|item| header_names(&item)).transpose()?;
            if let Some(names) = &names {
                words.push(format!("{name} {}", names.join(", ")));
            }
            Ok::<_, InitError>(names.unwrap_or_default())
        };
        let (request_headers, response_headers) = (headers("request_headers")?, headers("response_headers")?);
        let response_trailers = headers("response_trailers")?;
        let filters = section.get("filters").map(|item| filters(&item)).transpose()?;
        let filters = filters.unwrap_or_default();
        if !filters.is_empty() {
            words.push(format!("filters {}", filters.len()));
        }
        let failures = section.get("failures").map(|item| failures(&item)).transpose()?;
        let failures = failures.unwrap_or_default();
        if !failures.is_empty() {
            let codes: Vec<String> = failures.iter().map(|(name, is)| format!("{name} {is}")).collect();
            words.push(format!("failures {}", codes.join(", ")));
        }
        let logged = section.get("log_calls").map(|item| logged_calls(&item)).transpose()?;
        let logged = logged.unwrap_or_default();
        if !logged.is_empty() {
            let calls: Vec<String> = logged.iter().map(|calls| format!("{calls:?}")).collect();
            words.push(format!("log_calls {}", calls.join(", ")));
        }
        Ok(Options {
            request_headers,
            response_headers,
            response_trailers,
            filters,
            failures,
            logged,
            words,
        })
    }

    /// Reads an option that is on or off.
    fn flag(&mut self, section: &mut Section<'_>, name: &'static str) -> Result<bool, InitError> {
        let is_on = section.get(name).map(|item| item.boolean()).transpose()? == Some(true);
        if is_on {
            self.words.push(name.to_owned());
        }
        Ok(is_on)
    }

    fn line(&self, side: &str) -> String {
        format!("{side} layers: {}", self.words.join("; "))
    }
}

fn header_names(item: &Item<'_>) -> Result<Vec<String>, InitError> {
    let name = |item: &Item<'_>| {
        let name = item.text()?;
        if otel_runtime::is_header_name_or_pattern(name) {
            Ok(name.to_ascii_lowercase())
        } else {
            Err(item.error("is not a valid header name; expected one such as x-tenant or x-tenant-*"))
        }
    };
    item.list()?.iter().map(name).collect()
}

/// Reads which calls are logged: `{failures: true, slower_than: 0.5}`.
fn logged_calls(item: &Item<'_>) -> Result<Vec<LoggedCalls>, InitError> {
    let mut section = item.section()?;
    let mut logged = Vec::new();
    for (name, calls) in [("all", LoggedCalls::All), ("failures", LoggedCalls::Failures)] {
        if section.get(name).map(|item| item.boolean()).transpose()? == Some(true) {
            logged.push(calls);
        }
    }
    if let Some(item) = section.get("slower_than") {
        let seconds = Duration::try_from_secs_f64(item.float()?);
        let limit = seconds.map_err(|_| item.error("must be a number of seconds"))?;
        logged.push(LoggedCalls::SlowerThan(limit));
    }
    section.finish()?;
    Ok(logged)
}

/// The status codes that may be failures.
const CODES: [&str; 16] = [
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Reads which status codes are failures: `{NOT_FOUND: true}`.
fn failures(item: &Item<'_>) -> Result<Vec<(&'static str, bool)>, InitError> {
    let mut section = item.section()?;
    let mut failures = Vec::new();
    for code in CODES {
        if let Some(item) = section.get(code) {
            failures.push((code, item.boolean()?));
        }
    }
    section.finish()?;
    Ok(failures)
}

fn filters(item: &Item<'_>) -> Result<Vec<Filter>, InitError> {
    item.list()?.iter().map(filter).collect()
}

/// Reads a filter, named as its function in [`otel_runtime::filter`].
fn filter(item: &Item<'_>) -> Result<Filter, InitError> {
    let (kind, value) = item.only()?;
    Ok(match kind {
        "health_check" | "reflection" => {
            value.section()?.finish()?;
            match kind {
                "health_check" => filter::health_check(),
                _ => filter::reflection(),
            }
        }
        "service" => filter::service(value.text()?),
        "service_prefix" => filter::service_prefix(value.text()?),
        "method" => filter::method(value.text()?),
        "not" => filter::not(filter(&value)?),
        "any" => filter::any(filters(&value)?),
        "all" => filter::all(filters(&value)?),
        _ => {
            return Err(value.error(
                "is not a known filter; known are health_check, reflection, service, service_prefix, method, not, \
                 any, all",
            ));
        }
    })
}

/// Reads the boundaries of histograms in seconds: a list, or `grpc`.
fn boundaries(item: &Item<'_>) -> Result<Vec<f64>, InitError> {
    if let Value::Text(_) = item.value() {
        item.one_of(&[("grpc", ())])?;
        return Ok(GRPC_DURATION_BOUNDARIES.to_vec());
    }
    let boundaries: Vec<f64> = item.list()?.iter().map(Item::float).collect::<Result<_, _>>()?;
    if boundaries.iter().any(|boundary| !boundary.is_finite()) || !boundaries.is_sorted_by(|a, b| a < b) {
        return Err(item.error("must be finite numbers, each greater than the one before"));
    }
    Ok(boundaries)
}
