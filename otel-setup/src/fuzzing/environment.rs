//! Env variables.

use std::collections::HashMap;

use super::otlp;
use crate::batch_settings::BatchSettings;
use crate::env::Env;
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
    let env = || Env::from_map(variables.clone());

    samplers(&env());
    batches(&env());
    exporters(&env());
    resources(env());
    for signal in Signal::ALL {
        otlp::check(signal, &env);
    }
    propagators(variables.get("OTEL_PROPAGATORS").map_or("", String::as_str));

    let env = env();
    unsupported::warn(&env);
    traces::limits(&env);
    let _ = env.boolean("OTEL_SDK_DISABLED");
    let again = Directives::from_env(&env);
    // What is kept is read without a complaint.
    let kept = Env::from_map(HashMap::from([("RUST_LOG".to_owned(), again.as_str().to_owned())]));
    assert_eq!(Directives::from_env(&kept).as_str(), again.as_str());
    assert_eq!(kept.into_warnings(), [""; 0]);
    for warning in env.into_warnings() {
        assert!(
            variables
                .iter()
                .any(|(name, value)| warning.starts_with(&format!("{name}={value:?}"))),
            "{warning}"
        );
    }
}

fn samplers(env: &Env) {
    let ratio = traces::ratio(env);
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    let _ = traces::sampler(env);
}

fn batches(env: &Env) {
    for batches in [BatchSettings::for_spans(env), BatchSettings::for_logs(env)] {
        assert!(
            0 < batches.size && batches.size <= batches.queue && !batches.delay.is_zero(),
            "{batches:?}"
        );
    }
}

fn exporters(env: &Env) {
    for signal in Signal::ALL {
        let variable = format!("OTEL_{}_EXPORTER", signal.env_name());
        let list = env.text(&variable).unwrap_or_default().to_lowercase();
        let exporters = match Exporter::resolve(signal, None, env) {
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

fn resources(env: Env) {
    let list = env.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let attributes = resource::attributes_from_env(&env);
    let pairs = list.split(',').filter(|pair| !pair.trim().is_empty()).count();
    let is_told = !env.into_warnings().is_empty();
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
