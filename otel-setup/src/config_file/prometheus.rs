//! `prometheus/development`: the scrape endpoint.

use super::section::Item;
use crate::env::EnvPairs;
use crate::error::InitError;

/// Settings of the endpoint that are no variables.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    #[cfg(feature = "prometheus")]
    pub(crate) translation_strategy: Option<crate::TranslationStrategy>,
}

pub(super) fn read(item: &Item<'_>, variables: &mut EnvPairs) -> Result<Settings, InitError> {
    let mut section = item.section()?;
    for name in ["host", "port"] {
        let variable = format!("OTEL_EXPORTER_PROMETHEUS_{}", name.to_ascii_uppercase());
        variables.place(&variable, format!("{}.{name}", item.place));
    }
    variables.set("OTEL_EXPORTER_PROMETHEUS_HOST", section.text("host")?);
    let port = section
        .get("port")
        .map(|port| port.integer(&(0..=65_535)))
        .transpose()?;
    variables.set("OTEL_EXPORTER_PROMETHEUS_PORT", port);
    let strategy = section.get("translation_strategy");
    let names = [
        "underscore_escaping_with_suffixes",
        "underscore_escaping_without_suffixes/development",
        "no_utf8_escaping_with_suffixes/development",
        "no_translation/development",
    ];
    let strategy = strategy
        .map(|item| item.one_of(&names.map(|name| (name, name))))
        .transpose()?;
    for (name, default) in [
        ("scope_info_enabled", true),
        ("target_info_enabled/development", true),
        // The names of version 1.0.
        ("without_scope_info", false),
        ("without_target_info/development", false),
    ] {
        section.unsupported_unless(name, default)?;
    }
    section.unsupported("resource_constant_labels");
    section.unsupported("with_resource_constant_labels");
    section.finish()?;
    Ok(settings(strategy))
}

#[cfg(feature = "prometheus")]
fn settings(strategy: Option<&str>) -> Settings {
    use crate::TranslationStrategy as Strategy;

    Settings {
        translation_strategy: strategy.map(|name| match name {
            "underscore_escaping_without_suffixes/development" => Strategy::UnderscoreEscapingWithoutSuffixes,
            "no_utf8_escaping_with_suffixes/development" => Strategy::NoUtf8EscapingWithSuffixes,
            "no_translation/development" => Strategy::NoTranslation,
            _ => Strategy::UnderscoreEscapingWithSuffixes,
        }),
    }
}

#[cfg(not(feature = "prometheus"))]
fn settings(_: Option<&str>) -> Settings {
    Settings::default()
}
