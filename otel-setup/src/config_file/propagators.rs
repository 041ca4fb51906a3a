//! `propagator`: the formats in which the context is passed on.

use otel_runtime::propagation;

use super::section::Item;
use crate::error::InitError;

const UNKNOWN: &str = "is not a propagator that is supported here; supported are tracecontext, baggage, b3, b3multi, \
                       jaeger, ottrace, gcp, grpc-trace-bin, xray";

/// Returns the names, as `OTEL_PROPAGATORS` has them. Without the section there is none.
pub(super) fn names(section: Option<Item<'_>>) -> Result<String, InitError> {
    let mut names: Vec<String> = Vec::new();
    if let Some(item) = section {
        let mut section = item.section()?;
        if let Some(list) = section.get("composite") {
            for item in list.list()? {
                let (name, settings) = item.only()?;
                settings.section()?.finish()?;
                if let Some(problem) = problem(name) {
                    return Err(settings.error(problem));
                }
                names.push(name.to_owned());
            }
        }
        if let Some(list) = section.get("composite_list") {
            for name in list.text()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                if let Some(problem) = problem(name) {
                    return Err(list.error(format_args!("has {name:?}, which {problem}")));
                }
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        if names.len() > 1 && names.iter().any(|name| name.eq_ignore_ascii_case("none")) {
            let list = section.get("composite_list").or_else(|| section.get("composite"));
            return Err(list.unwrap_or(item).error("has \"none\" beside others"));
        }
        section.finish()?;
    }
    if names.is_empty() {
        names.push("none".to_owned());
    }
    Ok(names.join(","))
}

/// Returns what is wrong with a name.
fn problem(name: &str) -> Option<&'static str> {
    let (_, warning) = propagation::parse_names(name);
    warning.map(|_| match name {
        "xray" => "requires the Cargo feature `xray` of otel-runtime",
        "b3" | "b3multi" | "gcp" | "grpc-trace-bin" | "jaeger" | "ottrace" => {
            "requires the Cargo feature `propagators`"
        }
        _ => UNKNOWN,
    })
}
