//! Environment variables.

use std::collections::HashMap;

use super::otlp;
use crate::batch_settings::Batches;
use crate::env::Environment;
use crate::exporter::Exporter;
use crate::signal::Signal;
use crate::subscriber::Directives;
use crate::{resource, traces, unsupported};
use opentelemetry::propagation::TextMapPropagator as _;
use otel_runtime::propagation;

/// Whatever stands in the variables, they are read by their rules: what makes no sense is told, and what is used makes sense.
///
/// # Panics
///
/// Where that is not so.
pub fn check(bytes: &[u8]) {
    // As `env` writes them: `NAME=value`, one a line.
    let text = String::from_utf8_lossy(bytes);
    let variables: HashMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        // `EnvFilter` compiles the value of a field as a regular expression, which takes as long, and as much memory, as that asks for: `{f=....................}`.
        .filter(|(name, value)| *name != "RUST_LOG" || !value.contains('{'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let environment = || Environment::of_map(variables.clone());

    samplers(&environment());
    batches(&environment());
    exporters(&environment());
    resources(environment());
    for signal in Signal::ALL {
        otlp::check(signal, &environment);
    }
    propagators(variables.get("OTEL_PROPAGATORS").map_or("", String::as_str));

    let environment = environment();
    unsupported::warn(&environment);
    traces::limits(&environment);
    let _ = environment.boolean("OTEL_SDK_DISABLED");
    let again = Directives::of(&environment);
    // What is kept is read without a complaint.
    let kept = Environment::of_map(HashMap::from([("RUST_LOG".to_owned(), again.as_str().to_owned())]));
    assert_eq!(Directives::of(&kept).as_str(), again.as_str());
    assert_eq!(kept.into_warnings(), [""; 0]);
    for warning in environment.into_warnings() {
        assert!(
            variables
                .iter()
                .any(|(name, value)| warning.starts_with(&format!("{name}={value:?}"))),
            "{warning}"
        );
    }
}

fn samplers(environment: &Environment) {
    let ratio = traces::ratio(environment);
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    let _ = traces::sampler(environment);
}

fn batches(environment: &Environment) {
    for batches in [Batches::of_spans(environment), Batches::of_log_records(environment)] {
        assert!(
            0 < batches.size && batches.size <= batches.queue && !batches.delay.is_zero(),
            "{batches:?}"
        );
    }
}

fn exporters(environment: &Environment) {
    for signal in Signal::ALL {
        let variable = format!("OTEL_{}_EXPORTER", signal.in_variables());
        let list = environment.text(&variable).unwrap_or_default().to_lowercase();
        let exporters = match Exporter::of(signal, None, environment) {
            Ok(exporters) => exporters,
            // What has been left out is refused, and nothing else.
            Err(error) => {
                assert!(
                    !cfg!(feature = "prometheus") && list.contains("prometheus")
                        || !cfg!(feature = "console") && list.contains("console"),
                    "{error}"
                );
                continue;
            }
        };
        assert!(!exporters.is_empty() || list.contains("none"), "{list}");
        for (index, exporter) in exporters.iter().enumerate() {
            assert!(!exporters[..index].contains(exporter), "each once: {list}");
            #[cfg(feature = "prometheus")]
            assert!(*exporter != Exporter::Prometheus || signal == Signal::Metrics);
        }
    }
}

fn resources(environment: Environment) {
    let list = environment.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let attributes = resource::by_environment(&environment);
    let pairs = list.split(',').filter(|pair| !pair.trim().is_empty()).count();
    let is_told = !environment.into_warnings().is_empty();
    assert_eq!(
        attributes.len(),
        if is_told { 0 } else { pairs },
        "all or nothing: {list:?}"
    );
    assert!(
        attributes.iter().all(|attribute| !attribute.key.as_str().is_empty()),
        "{list:?}"
    );
}

fn propagators(list: &str) {
    let (propagator, warning) = propagation::parse_names(list);
    assert!(
        propagator.fields().next().is_some() || list.to_lowercase().contains("none"),
        "{list:?}"
    );
    if let Some(warning) = warning {
        assert!(warning.starts_with(&format!("OTEL_PROPAGATORS={list:?}")), "{warning}");
    }
}
