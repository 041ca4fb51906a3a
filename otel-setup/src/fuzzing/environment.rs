//! The target `environment`: variables with arbitrary names and values.

use std::collections::HashMap;

use opentelemetry::propagation::TextMapPropagator as _;
use otel_runtime::propagation;

use super::otlp;
use crate::batch::settings::BatchSettings;
use crate::env::Env;
use crate::exporter::Exporter;
use crate::signal::Signal;
use crate::subscriber::Directives;
use crate::{resource, sampler, span_limits, unsupported};

/// Checks that invalid values cause warnings, and that all resulting settings are valid.
///
/// # Panics
///
/// If a check fails.
pub fn check(bytes: &[u8]) {
    // The format of the command `env`: one `NAME=value` per line.
    let text = String::from_utf8_lossy(bytes);
    let variables: HashMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        // `EnvFilter` compiles field values such as `{f=....................}` as regular
        // expressions, which can take arbitrary time and memory.
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
    span_limits::from_env(&env);
    let _ = env.boolean("OTEL_SDK_DISABLED");
    let directives = Directives::from_env(&env);
    // The valid directives cause no warnings when they are parsed again.
    let reparsed = Env::from_map(HashMap::from([("RUST_LOG".to_owned(), directives.as_str().to_owned())]));
    assert_eq!(Directives::from_env(&reparsed).as_str(), directives.as_str());
    assert_eq!(reparsed.into_warnings(), [""; 0]);
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
    let ratio = sampler::ratio(env);
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    let _ = sampler::from_env(env);
}

fn batches(env: &Env) {
    for batches in [BatchSettings::for_spans(env), BatchSettings::for_logs(env)] {
        assert!(
            0 < batches.max_batch_size
                && batches.max_batch_size <= batches.max_queue_size
                && !batches.interval.is_zero(),
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
            // The only errors are exporters that are not compiled in.
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
            assert!(!exporters[..index].contains(exporter), "duplicate: {list}");
            #[cfg(feature = "prometheus")]
            assert!(*exporter != Exporter::Prometheus || signal == Signal::Metrics);
        }
    }
}

fn resources(env: Env) {
    let list = env.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let attributes = resource::attributes_from_env(&env);
    let pairs = list.split(',').filter(|pair| !pair.trim().is_empty()).count();
    let has_warning = !env.into_warnings().is_empty();
    assert_eq!(
        attributes.len(),
        if has_warning { 0 } else { pairs },
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
