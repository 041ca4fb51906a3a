//! `propagator`: the formats in which the context is passed on.

use super::section::Item;
use crate::error::InitError;

/// Returns the names, as `OTEL_PROPAGATORS` has them. Without the section there is none.
pub(super) fn names(section: Option<Item<'_>>) -> Result<String, InitError> {
    let mut names: Vec<String> = Vec::new();
    if let Some(item) = section {
        let mut section = item.section()?;
        if let Some(list) = section.get("composite") {
            for item in list.list()? {
                let (name, settings) = item.only()?;
                settings.section()?.finish()?;
                names.push(name.to_owned());
            }
        }
        let list = section.text("composite_list")?.unwrap_or_default();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        section.finish()?;
    }
    if names.is_empty() {
        names.push("none".to_owned());
    }
    Ok(names.join(","))
}
