//! `distribution.otel_setup`: settings of this crate that the schema has no place for.

use super::section::Item;
#[cfg(feature = "zpages")]
use super::section::Section;
#[cfg(feature = "zpages")]
use crate::env::{Env, EnvPairs};
use crate::error::InitError;

/// The settings of the zPages.
#[cfg(feature = "zpages")]
#[derive(Debug)]
pub(crate) struct Zpages {
    /// The variables that mean the same.
    pub(crate) env: Env,
    pub(crate) allowed_hosts: Vec<String>,
}

/// The settings of this crate.
#[derive(Debug, Default)]
pub(crate) struct Distribution {
    #[cfg(feature = "zpages")]
    pub(crate) zpages: Option<Zpages>,
}

pub(super) fn read(section: Option<Item<'_>>) -> Result<Distribution, InitError> {
    let mut distribution = Distribution::default();
    let Some(section) = section else {
        return Ok(distribution);
    };
    for (name, options) in section.entries()? {
        if name == "otel_setup" {
            distribution = read_own(&options)?;
        } else {
            // Files are shared between services.
            options.warn("is for another distribution; ignoring it");
        }
    }
    Ok(distribution)
}

fn read_own(item: &Item<'_>) -> Result<Distribution, InitError> {
    let mut section = item.section()?;
    #[cfg(feature = "zpages")]
    let zpages = section.get("zpages").map(|zpages| read_zpages(&zpages)).transpose()?;
    #[cfg(not(feature = "zpages"))]
    if let Some(zpages) = section.get("zpages") {
        zpages.warn("needs the Cargo feature `zpages` of otel-setup; ignoring it");
    }
    section.finish()?;
    Ok(Distribution {
        #[cfg(feature = "zpages")]
        zpages,
    })
}

#[cfg(feature = "zpages")]
fn read_zpages(item: &Item<'_>) -> Result<Zpages, InitError> {
    const ADDRESS: &str = "OTEL_RUST_ZPAGES_ADDRESS";
    const LIMIT: &str = "OTEL_RUST_ZPAGES_MEMORY_LIMIT";

    let mut section: Section<'_> = item.section()?;
    let mut variables = EnvPairs::default();
    for (name, property) in [(ADDRESS, "address"), (LIMIT, "memory_limit")] {
        variables.place(name, format!("{}.{property}", item.place));
    }
    variables.set(ADDRESS, section.text("address")?);
    variables.set(LIMIT, section.integer("memory_limit", 1)?);
    let hosts = section.get("allowed_hosts").map(|hosts| hosts.list()).transpose()?;
    let hosts = hosts.unwrap_or_default();
    section.finish()?;
    let hosts: Result<Vec<String>, InitError> = hosts.iter().map(|host| Ok(host.text()?.to_owned())).collect();
    Ok(Zpages {
        env: variables.into_env(),
        allowed_hosts: hosts?,
    })
}
