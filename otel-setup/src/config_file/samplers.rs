//! `tracer_provider.sampler`.

use opentelemetry_sdk::trace::Sampler;

use super::section::Item;
use crate::error::InitError;

/// Reads a sampler. The SDK has no samplers for the other cases of `parent_based`.
pub(super) fn sampler(item: &Item<'_>) -> Result<Sampler, InitError> {
    let (kind, settings) = item.only()?;
    let mut section = settings.section()?;
    let sampler = match kind {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "trace_id_ratio_based" => Sampler::TraceIdRatioBased(match section.get("ratio") {
            None => 1.0,
            Some(ratio) => match ratio.float()? {
                value if (0.0..=1.0).contains(&value) => value,
                _ => return Err(ratio.error("must be between 0 and 1")),
            },
        }),
        "parent_based" => {
            let root = section.get("root").map(|root| self::sampler(&root)).transpose()?;
            for (name, supported) in [
                ("remote_parent_sampled", "always_on"),
                ("remote_parent_not_sampled", "always_off"),
                ("local_parent_sampled", "always_on"),
                ("local_parent_not_sampled", "always_off"),
            ] {
                let Some(other) = section.get(name) else { continue };
                let (kind, settings) = other.only()?;
                if kind != supported {
                    return Err(other.error(format_args!(
                        "must be {supported}, which is all that OpenTelemetry's SDK for Rust supports"
                    )));
                }
                settings.section()?.finish()?;
            }
            Sampler::ParentBased(Box::new(root.unwrap_or(Sampler::AlwaysOn)))
        }
        _ => {
            return Err(settings.error(
                "is not a sampler that is supported here; supported are always_on, always_off, trace_id_ratio_based, \
                 parent_based",
            ));
        }
    };
    section.finish()?;
    Ok(sampler)
}
